"""One request, to a server that behaves, and to one that doesn't."""

import gzip
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import pytest

from llara_core.errors import EndpointError, RequestError
from llara_core.outside_judge import endpoint as module
from llara_core.outside_judge.endpoint import Endpoint, Unanswered, asked_pause
from llara_core.outside_judge.replies import Reply
from llara_core.outside_judge.settings import Settings, require_name
from tests.outside_judge.conftest import KEY
from tests.outside_judge.server import Behaviour, Request, Server, hang, serving


def settings_for(url: str, **changes: Any) -> Settings:
    return Settings.of(
        **{"base_url": url, "model": "tiny", "temperature": 0.0, "reply_tokens": 9, "system": None, **changes}
    )


@contextmanager
def asking(behaviour: Behaviour, timeout: float = 5.0, **changes: Any) -> Iterator[tuple[Endpoint, Server]]:
    with serving(behaviour) as server:
        endpoint = Endpoint(settings_for(server.url, **changes), "OPENAI_API_KEY", timeout, "max_tokens")
        yield endpoint, server
        endpoint.close()


def fail(behaviour: Behaviour, timeout: float = 5.0) -> Unanswered:
    with asking(behaviour, timeout) as (endpoint, server), pytest.raises(Unanswered) as caught:
        endpoint.ask("Which?")
    assert len(server.prompts) == 1  # once: asking again is counted elsewhere
    assert KEY not in str(caught.value)
    return caught.value


def test_a_prompt_is_sent_as_it_is_and_the_answer_comes_back() -> None:
    with asking(lambda request: request.answer("Heat"), system="Be brief.", temperature=0.5) as (endpoint, server):
        reply = endpoint.ask("Which of “Amélie”, Heat?")
    assert reply == Reply(answer="Heat", finish="stop", prompt_tokens=50, reply_tokens=5, model="tiny-2026")
    assert (reply.tokens, reply.is_whole) == (55, True)
    [body] = server.bodies
    assert body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Which of “Amélie”, Heat?"},
        ],
        "temperature": 0.5,
        "max_tokens": 9,
    }
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_the_field_of_the_limit_can_be_the_other_one() -> None:
    with serving(lambda request: request.answer("Heat", finish="length", tokens=None)) as server:
        endpoint = Endpoint(settings_for(server.url), "OPENAI_API_KEY", 5.0, "max_completion_tokens")
        reply = endpoint.ask("Which?")
    assert (reply.tokens, reply.is_whole) == (None, False)
    assert server.bodies[0]["max_completion_tokens"] == 9
    assert "max_tokens" not in server.bodies[0]


@pytest.mark.parametrize(
    ("status", "code", "again", "cost", "is_limit"),
    [
        (400, None, False, False, False),
        (408, None, True, False, False),
        (409, None, True, False, False),
        (413, None, False, False, False),
        (422, None, False, False, False),
        (429, None, True, False, True),
        (429, "insufficient_quota", False, False, True),
        (500, None, True, True, False),
        (503, None, True, True, False),
    ],
)
def test_a_status_says_whether_to_ask_again(
    status: int, code: str | None, again: bool, cost: bool, is_limit: bool
) -> None:
    found = fail(lambda request: request.refuse(status, "no, and never\nmind why", code))
    assert str(found) == f"HTTP {status}: no, and never mind why"
    assert (found.may_help, found.may_cost, found.is_limit, found.wait) == (again, cost, is_limit, 0.0)


def test_the_pause_that_is_asked_for_is_told() -> None:
    found = fail(lambda request: request.refuse(429, "slowly", Retry_After="7"))
    assert (found.wait, found.is_limit) == (7.0, True)
    assert fail(lambda request: request.refuse(500, "no", Retry_After="0.25")).wait == 0.25
    assert fail(lambda request: request.refuse(400, "no", Retry_After="7")).wait == 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "3", "retry-after-ms": "20"}, 0.02),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": formatdate(1_000_030, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(999_000, usegmt=True)}, 0.0),
    ],
)
def test_a_pause_is_a_number_or_a_date(headers: dict[str, str], seconds: float) -> None:
    assert asked_pause(headers, now=1_000_000.0) == pytest.approx(seconds)


def test_a_refused_key_and_an_unknown_model_are_named() -> None:
    echo = fail(lambda request: request.refuse(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"))
    assert str(echo) == ("the endpoint refuses the key in $OPENAI_API_KEY (HTTP 401: Incorrect API key provided: …)")
    assert not echo.may_help
    unknown = fail(lambda request: request.refuse(404, "The model `tiny` does not exist", "model_not_found"))
    assert str(unknown).startswith(
        "HTTP 404: The model `tiny` does not exist; must be a model of the endpoint's, got 'tiny'"
    )
    assert not unknown.may_help


def test_a_field_that_is_refused_has_another_name() -> None:
    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    found = fail(lambda request: request.refuse(400, words, "unsupported_parameter", "max_tokens"))
    assert str(found) == f"HTTP 400: {words}; --limit-field names it otherwise"


def test_a_page_of_html_is_one_short_line() -> None:
    found = fail(lambda request: request.send(502, "<html>\n" + "<p>Bad gateway</p>\n" * 99, Content_Type="text/html"))
    assert str(found).startswith("HTTP 502: <html> <p>Bad gateway</p> <p>")
    assert len(str(found)) < 220
    assert "\n" not in str(found)


def test_a_filtered_prompt_is_an_answer() -> None:
    with asking(lambda request: request.refuse(400, "filtered", "content_filter")) as (endpoint, _):
        reply = endpoint.ask("Which?")
    assert (reply.answer, reply.finish, reply.is_whole) == ("", "content_filter", True)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ('{"choices": []}', "application/json", 'its choices is unusable, got {"choices": []}'),
        ("{}", "application/json", "its choices is unusable, got {}"),
        ('{"error": {"message": "upstream"}}', "application/json", 'got {"error": {"message": "upstream"}}'),
        ('{"choices": [{"message": {"content": 7}}]}', "application/json", "its choices.0.message.content is unusable"),
        ('{"choices": [{"text": "Heat"}]}', "application/json", "its choices.0.message is unusable"),
        ("[]", "application/json", "its whole is unusable, got []"),
        ("null", "application/json", "its whole is unusable, got null"),
        ('{"choices": [', "application/json", 'in JSON, got application/json: {"choices": ['),
        ("", "application/json", "in JSON, got application/json: nothing"),
        ("\ufeffLorem \x1b[31m ipsum", "text/plain", "in JSON, got text/plain: Lorem [31m ipsum"),
        ("<html>Sign in</html>", "text/html; charset=utf-8", "in JSON, got text/html; charset=utf-8: <html>Sign in"),
        (b"\xff\xfe\x00", "application/octet-stream", "in JSON, got application/octet-stream: "),
        (f'{{"choices": "{KEY}"}}', "application/json", 'its choices is unusable, got {"choices": "…"}'),
    ],
)
def test_nonsense_is_told_and_asked_again(body: str | bytes, kind: str, words: str) -> None:
    found = fail(lambda request: request.send(200, body, Content_Type=kind))
    assert words in str(found)
    assert (found.may_help, found.may_cost, found.is_limit) == (True, True, False)


def test_a_completion_under_a_wrong_type_is_one_all_the_same() -> None:
    text = '{"choices": [{"message": {"content": "Heat"}, "finish_reason": null}]}'
    with asking(lambda request: request.send(200, text, Content_Type="text/plain")) as (endpoint, _):
        assert endpoint.ask("Which?").answer == "Heat"


@pytest.mark.parametrize("text", ["", None])
def test_an_empty_answer_is_an_answer(text: str | None) -> None:
    with asking(lambda request: request.answer(text)) as (endpoint, _):
        assert endpoint.ask("Which?").answer == ""


def test_a_refusal_in_words_is_an_answer() -> None:
    body = '{"choices": [{"message": {"content": null, "refusal": "I can\'t."}}]}'
    with asking(lambda request: request.send(200, body)) as (endpoint, _):
        assert endpoint.ask("Which?").answer == "I can't."


def test_a_key_that_comes_back_is_taken_out_and_a_short_one_left_in_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    with asking(lambda request: request.answer(f"Heat {KEY}", finish=KEY)) as (endpoint, _):
        assert KEY not in endpoint.ask("Which?").model_dump_json()
    monkeypatch.setenv("OPENAI_API_KEY", "Heat")
    with asking(lambda request: request.answer("Heat")) as (endpoint, _):
        assert endpoint.ask("Which?").answer == "Heat"


@pytest.mark.parametrize("n_before", [170, 185, 195])
def test_no_part_of_a_key_is_left_where_an_echo_is_shortened(n_before: int) -> None:
    echo = "x" * n_before + KEY
    for behaviour in (
        lambda request: request.refuse(400, echo),
        lambda request: request.send(502, echo, Content_Type="text/html"),
        lambda request: request.send(200, echo, Content_Type="text/plain"),
        lambda request: request.send(200, " " * (790 - n_before) + echo, Content_Type="text/plain"),
        lambda request: request.send(200, "no JSON", Content_Type=echo),
    ):
        assert KEY[:4] not in str(fail(behaviour))


def test_what_is_not_encrypted_goes_past_the_environment_s_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy")
    with serving(lambda request: request.answer("Proxied")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        with asking(lambda request: request.answer("Heat")) as (endpoint, _):
            assert endpoint.ask("Which?").answer == "Heat"
    assert not proxy.headers


def test_a_cut_reply_is_asked_again() -> None:
    found = fail(Request.cut)
    assert str(found).startswith("the reply was cut: ")
    assert (found.may_help, found.may_cost) == (True, True)
    found = fail(Request.hang_up)
    assert str(found).startswith("the connection broke: ")
    assert (found.may_help, found.may_cost) == (True, True)


def test_a_server_that_hangs_is_left_after_the_time_out() -> None:
    began = time.monotonic()
    found = fail(hang, timeout=0.1)
    assert time.monotonic() - began < 2.5
    assert str(found) == "no reply within 0.1 s"
    assert (found.may_help, found.may_cost) == (True, True)


@pytest.mark.parametrize("status", [200, 500])
def test_a_reply_in_drops_is_left_after_the_time_out_too(status: int) -> None:
    drops = []

    def drip(request: Request) -> None:
        request.send(status, "{", Content_Length="1000")
        for _ in range(60):
            time.sleep(0.02)
            request.wfile.write(b" ")
            drops.append(1)

    assert str(fail(drip, timeout=0.1)) == "no reply within 0.1 s"
    assert len(drops) < 50  # it hasn't waited for the last


@pytest.mark.parametrize("status", [200, 500])
def test_a_reply_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    found = fail(lambda request: request.send(status, b" " * 200_000))
    assert str(found) == "a reply must have at most 1000 bytes, got more"


def test_a_reply_that_is_long_once_unpacked_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    found = fail(lambda request: request.send(200, gzip.compress(b" " * 200_000), Content_Encoding="gzip"))
    assert str(found) == "a reply must have at most 1000 bytes, got more"


def test_an_endpoint_that_is_down_costs_nothing() -> None:
    with serving(Request.hang_up) as server:
        pass
    endpoint = Endpoint(settings_for(server.url), "OPENAI_API_KEY", 5.0, "max_tokens")
    with pytest.raises(Unanswered, match=r"http://127.0.0.1:\d+/v1 can't be reached: .*refused") as caught:
        endpoint.ask("Which?")
    assert (caught.value.may_help, caught.value.may_cost) == (True, False)


def test_redirections_are_not_followed() -> None:
    with serving(lambda request: request.answer("Heat")) as elsewhere:
        lead_on = {"Location": f"{elsewhere.url}/chat/completions"}
        found = fail(lambda request: request.send(307, "", **lead_on))
    assert not elsewhere.prompts
    assert "--base-url must be the API's own address" in str(found)
    assert not found.may_help


def test_the_key_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fail(lambda request: request.refuse(401, KEY))
    assert caplog.records
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", r"\$OPENAI_API_KEY must hold the endpoint's key, got nothing"),
        ("  ", "got nothing"),
        ("sk-ä", "must hold a key of printable ASCII characters without spaces, got something else"),
        ("sk-1\nX-Evil: 1", "got something else"),
    ],
)
def test_a_key_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, key: str, words: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(EndpointError, match=words) as caught:
        Endpoint(settings_for("http://127.0.0.1/v1"), "OPENAI_API_KEY", 5.0, "max_tokens")
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "https://api.openai.com/v1/",
        "http://localhost:8000/v1",
        "http://127.0.0.1:8000/v1",
        "http://[::1]:8000/v1",
        "http://192.168.0.7/v1",
        "http://gpu-box:8000/v1",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    assert settings_for(url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("api.openai.com/v1", "must be an address such as"),
        ("ftp://api.openai.com/v1", "must be an address such as"),
        ("https://", "must be an address such as"),
        ("https://host:port/v1", "must be an address such as"),
        ("https://user:secret@host/v1", "must have neither user, password"),
        ("https://host/v1?api-key=secret", "must have neither user, password"),
        ("http://api.openai.com/v1", "must begin with https, or the key would go unencrypted to api.openai.com"),
        ("http://8.8.8.8/v1", "must begin with https"),
    ],
)
def test_addresses_that_are_refused(url: str, words: str) -> None:
    with pytest.raises(RequestError, match=f"--base-url is unusable: {words}") as caught:
        settings_for(url)
    assert "secret" not in str(caught.value)


def test_a_row_is_called_after_its_model_and_a_name_is_one_of_a_file() -> None:
    assert settings_for("https://h/v1", model="meta-llama/Llama-3.1:8b").row == "meta-llama_Llama-3.1_8b"
    assert settings_for("https://h/v1", model="../..").row == "_.."
    assert settings_for("https://h/v1", model="…").row == "_"
    require_name("gpt-4o_2")
    for name in ("", "..", "a/b", "-x", "ä", "x" * 81):
        with pytest.raises(RequestError, match="--name must be of letters"):
            require_name(name)


def test_what_decides_an_answer_decides_its_key() -> None:
    one = settings_for("https://h/v1")
    others = [
        settings_for("https://h/v2"),
        settings_for("https://h/v1", model="tiny2"),
        settings_for("https://h/v1", temperature=0.1),
        settings_for("https://h/v1", reply_tokens=10),
        settings_for("https://h/v1", system="x"),
    ]
    keys = {settings.key_of("Which?") for settings in [one, *others]} | {one.key_of("Which? ")}
    assert len(keys) == 7
    assert settings_for("https://h/v1/").key_of("Which?") == one.key_of("Which?")
