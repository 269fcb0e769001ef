"""The JSON API over real connections: what it answers, what it refuses, and how."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from llara.serving.api import _PAGE
from llara.serving.limits import MAX_BODY, Limits
from llara.serving.model_thread import Services
from llara_core.recommending.requests import Request
from tests.conftest import TITLES
from tests.llara.serving.conftest import LIMITS, Serve, Served
from tests.recommending.tiny import LENGTH, N_ITEMS


@pytest.fixture(scope="module")
def limited(serve: Serve, services: Services) -> Served:
    return serve(lambda: services, Limits(rate=5, waiting=4, together=1, seconds=20.0))


def _message(response: requests.Response) -> str:
    """The sentence of a refusal, which must be all that there is."""
    error = response.json()["error"]
    assert "Traceback" not in response.text
    assert error["type"]
    assert "\n" not in error["message"]
    return str(error["message"])


@pytest.mark.parametrize("tokens", ["on", "off", "shuffled"])
def test_answers_are_the_service_s(served: Served, services: Services, tokens: Any) -> None:
    body = {"history": ["toy story", 5, "text:The Matrix"], "top": 3, "why": True, "tokens": tokens}
    response = served.ask(body)
    assert response.status_code == 200
    expected = services[tokens].recommend(Request((1, 5, "The Matrix"), top=3, why=True)).as_json(TITLES)
    found = response.json()
    assert found.pop("notes") == [
        '"The Matrix" is not in the catalogue: it is read as text, without a behavioural token, and the recommender '
        "doesn't see it",
        *expected.pop("notes"),
    ]
    assert found == json.loads(json.dumps(expected))


def test_candidates_are_ranked_alone(served: Served) -> None:
    found = served.ask({"history": ["Heat"], "candidates": ["Alien", 2, "babe"]}).json()
    assert found["ranked"] == {"kind": "given", "n_items": 3}
    assert {entry["item_id"] for entry in found["rankings"]["llara"]} == {4, 2, 8}
    refused = served.ask({"history": ["Heat"], "candidates": ["Alien", "The Matrix"]})
    assert refused.status_code == 422
    assert _message(refused).startswith('candidates must be in the catalogue; "The Matrix" is not in the catalogue')


def test_titles_are_found_while_typing(served: Served) -> None:
    found = served.get("v1/titles", params={"typed": "ali"}).json()["titles"]
    assert found == [{"item_id": 4, "title": "Alien"}, {"item_id": 5, "title": "Alien 3"}]
    assert len(served.get("v1/titles", params={"typed": "ali", "limit": 1}).json()["titles"]) == 1
    assert served.get("v1/titles", params={"typed": "\x00‮ "}).json() == {"titles": []}


def test_an_ambiguous_title_is_a_question(served: Served) -> None:
    response = served.ask({"history": ["Toy Story 2"]})
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (422, "AmbiguousTitleError")
    assert error["questions"] == [{"typed": "Toy Story 2", "choices": [{"item_id": 1, "title": "Toy Story"}]}]


def test_the_model_and_the_schema_are_described(served: Served) -> None:
    found = served.get("v1/model").json()
    assert (found["objective"], found["n_items"], found["history_length"]) == ("stream", N_ITEMS, LENGTH)
    assert found["tokens"] == ["on", "off", "shuffled"]
    assert "/" not in found["language_model"]  # of a folder, not where it is
    schema = served.get("openapi.json").json()
    assert set(schema["paths"]) == {"/health", "/ready", "/v1/model", "/v1/titles", "/v1/recommend"}
    post = schema["paths"]["/v1/recommend"]["post"]
    assert set(post["responses"]) == {"200", "408", "413", "422", "429", "500", "503", "504"}
    assert post["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Refused")
    history = schema["components"]["schemas"]["Question"]["properties"]["history"]
    assert (history["minItems"], history["maxItems"]) == (1, 100)
    for page_of_a_network in ("docs", "redoc"):
        assert served.get(page_of_a_network).status_code == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"history": []}, "history: list should have at least 1 item"),
        ({}, "history: field required"),
        ([], "the request: input should be a valid dictionary"),
        ({"history": "Heat"}, "history: input should be a valid list"),
        ({"history": ["Heat"], "hstory": 1}, "hstory: extra inputs are not permitted"),
        ({"history": [""]}, "history[0]: a title must have a letter or a digit, got ''"),
        ({"history": ["Heat", None]}, "history[1]: must be a title or an item's id, got NoneType"),
        ({"history": [True]}, "history[0]: must be a title or an item's id, got bool"),
        ({"history": [1.5]}, "history[0]: must be a title or an item's id, got float"),
        ({"history": [["Heat"]]}, "history[0]: must be a title or an item's id, got list"),
        ({"history": [0]}, f"history[0]: id: must be followed by an item's id, 1..{N_ITEMS}, got 'id:0'"),
        ({"history": [-(10**30)]}, "history[0]: id: must be followed by"),
        ({"history": [N_ITEMS + 1]}, f"1..{N_ITEMS}, got 'id:{N_ITEMS + 1}'"),
        ({"history": ["x" * 301]}, "history[0]: must have ≤ 300 characters, got 301"),
        ({"history": ["Heat"] * 101}, "history: list should have at most 100 items"),
        ({"history": ["Toy\x00Story"]}, "history[0]: must be one line without control characters, got U+0000"),
        ({"history": ["Toy\nStory"]}, "got U+000A"),
        ({"history": ["Toy\x1b[31mStory"]}, "got U+001B"),
        ({"history": ["Toy ‮Story"]}, "got U+202E"),
        ({"history": ["Toy \ud800 Story"]}, "got U+D800"),
        ({"history": ["<script>alert(1)</script>"]}, "a title outside the catalogue must not hold markup"),
        ({"history": ["text:<img src=x onerror=alert(1)"]}, "history[0]: a title outside the catalogue must not hold"),
        ({"history": ["Heat"], "candidates": [1]}, "candidates must be at least 2 different items, got 1 of 1"),
        ({"history": ["Heat"], "candidates": list(range(1, 202))}, "candidates: list should have at most 200 items"),
        ({"history": ["Heat"], "top": 0}, "top: input should be greater than or equal to 1"),
        ({"history": ["Heat"], "top": 101}, "top: input should be less than or equal to 100"),
        ({"history": ["Heat"], "top": "3"}, "top: input should be a valid integer"),
        ({"history": ["Heat"], "why": "yes"}, "why: input should be a valid boolean"),
        ({"history": ["Heat"], "tokens": "none"}, "tokens: input should be 'on', 'off' or 'shuffled'"),
    ],
    ids=str,
)
def test_what_is_malformed_or_hostile_is_refused_in_a_sentence(served: Served, body: Any, message: str) -> None:
    response = served.ask(body)
    assert response.status_code == 422
    assert message in _message(response)


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"", "application/json", 422, "the request: field required"),
        (b"{", "application/json", 422, "the request must be JSON: Expecting property name"),
        (b'{"history": ["\xff"]}', "application/json", 400, "error parsing the body"),
        (b"[" * 100_000, "application/json", 400, "error parsing the body"),
        (b'{"history": [' + b"9" * 5000 + b"]}", "application/json", 400, "error parsing the body"),
        (b'{"history": ["Heat"], "top": NaN}', "application/json", 422, "top: input should be a"),
        (b'{"history": ["Heat"]}', "text/plain", 422, "the request: input should be a valid dictionary"),
        (b"history=Heat", "application/x-www-form-urlencoded", 422, "the request: input should be a valid dictionary"),
        (b"x" * (1 << 20), "application/json", 413, f"a request must have ≤ {MAX_BODY} bytes"),
    ],
    ids=["empty", "cut", "bytes", "deep", "number", "nan", "text", "form", "1 MB"],
)
def test_bodies_that_are_no_json_or_too_long(served: Served, body: bytes, kind: str, status: int, message: str) -> None:
    response = requests.post(served.url + "v1/recommend", data=body, headers={"content-type": kind}, timeout=20)
    assert response.status_code == status
    assert message in _message(response)


def test_a_body_of_unknown_length_is_limited_too(served: Served) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * (1 << 14)

    response = requests.post(served.url + "v1/recommend", data=pieces(), timeout=20)
    assert response.status_code == 413


def test_what_is_no_http_gets_400(served: Served) -> None:
    with socket.create_connection((urlsplit(served.url).hostname, urlsplit(served.url).port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = raw.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("v1/recommend", 405),
        ("v1/nothing", 404),
        ("page/..%2fapi.py", 404),
        ("page/%2e%2e/api.py", 404),
        ("page/%00", 404),
    ],
)
def test_other_addresses(served: Served, path: str, status: int) -> None:
    response = served.get(path)
    assert response.status_code == status
    assert _message(response)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0"])  # noqa: S104
def test_another_site_s_name_for_a_server_on_loopback_is_refused(serve: Serve, services: Services, host: str) -> None:
    served = serve(lambda: services, host=host)
    for name in ("", "localhost", "LocalHost:8000", "[::1]:8000"):
        assert served.get("health", headers={"host": name} if name else None).status_code == 200
    for name in ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example:80"):
        response = served.get("health", headers={"host": name})
        if host == "0.0.0.0":  # noqa: S104
            assert response.status_code == 200
        else:
            assert response.status_code == 400
            assert _message(response) == "this server has other names than the one of Host"


def test_the_page_is_whole_and_may_load_only_what_is_here(served: Served) -> None:
    for path in ("", *(f"page/{file.name}" for file in _PAGE.iterdir())):
        response = served.get(path)
        assert response.status_code == 200
        assert "://" not in response.text.replace("http://www.w3.org/2000/svg", "")
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert response.headers["x-content-type-options"] == "nosniff"


def test_one_address_may_ask_so_often(limited: Served) -> None:
    answers = [limited.get("v1/model") for _ in range(6)]
    assert [response.status_code for response in answers] == [200] * 5 + [429]
    assert _message(answers[-1]).startswith("one address may ask 5 times a minute; ask again in ")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    spoofed = limited.get("v1/model", headers={"x-forwarded-for": "10.1.2.3"})
    assert spoofed.status_code == 429
    assert limited.get("health").status_code == limited.get("").status_code == 200


def test_while_the_model_is_being_loaded_the_server_lives(serve: Serve, services: Services) -> None:
    loading = threading.Event()

    def load() -> Services:
        loading.wait(20)
        return services

    served = serve(load, LIMITS, wait=False)
    assert served.get("health").json() == {"status": "alive", "ready": False}
    for response in (served.get("ready"), served.get("v1/titles?typed=a"), served.ask({"history": ["Heat"]})):
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert _message(response) == "the model is being loaded; ask again in a few seconds"
    assert served.get("").status_code == 200
    loading.set()
    while served.get("ready").status_code != 200:
        pass
    assert served.get("health").json() == {"status": "alive", "ready": True}
    assert served.ask({"history": ["Heat"]}).status_code == 200
