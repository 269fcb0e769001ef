"""The command from end to end, against a server on loopback."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from threading import Event, Lock

import pytest

from llara import program
from llara_core.outside_judge import patience
from tests.conftest import ROOT
from tests.outside_judge.answers import HIGH, LOW, answer_to
from tests.outside_judge.conftest import KEY, _key, repository
from tests.outside_judge.server import Behaviour, Request, Server, hang, serving

__all__ = ["_key", "repository"]
Run = Callable[..., tuple[int, str, str]]
PREDICTIONS = Path("data/outside/tiny")


def well(request: Request) -> None:
    request.answer(answer_to(request.prompt))


@pytest.fixture
def ask(repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `llara ask-api`; return its status, stdout and stderr."""
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.001)

    def run(server: Server | str, *options: str, model: str = "tiny") -> tuple[int, str, str]:
        url = server if isinstance(server, str) else server.url
        monkeypatch.setattr(sys, "argv", ["llara", "ask-api", "--base-url", url, "--model", model, *options])
        with pytest.raises(SystemExit) as ended:
            program.main()
        said = capsys.readouterr()
        assert KEY not in said.out + said.err
        return int(ended.value.code or 0), said.out, said.err

    return run


def _last(said: str) -> str:
    return said.rstrip("\n").splitlines()[-1]


def test_from_prompts_to_a_row_beside_the_others(ask: Run) -> None:
    with serving(well) as server:
        status, out, err = ask(server, "--limit", "4", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["metrics"]["models"]["tiny"]["hit_ratio_at_1"] == 0.5
    assert found["metrics"]["models"]["tiny"]["hit_ratio_at_1_low"] == pytest.approx(LOW, abs=1e-6)
    assert found["metrics"]["models"]["tiny"]["hit_ratio_at_1_high"] == pytest.approx(HIGH, abs=1e-6)
    assert found["metrics"]["models"]["tiny"]["valid_ratio"] == 0.75
    assert (found["metrics"]["models"]["llara"]["hit_ratio_at_1"], found["left"]) == (1.0, 0)
    assert found["sent"] == {"requests": 4, "tokens": 4 * 55}
    assert found["predictions"] == str(PREDICTIONS)
    assert len(set(server.prompts)) == len(server.prompts) == 4
    assert "4 prompts of 4 lists to send" in err
    assert "they hold titles of ml-100k" in err
    assert KEY not in "".join(path.read_bytes().decode("latin-1") for path in Path().rglob("*") if path.is_file())


def test_its_predictions_can_be_compared(
    ask: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(well) as server:
        assert ask(server, "--yes", "--draws", "2")[0] == 0
    # With all draws the lists are those of the evaluation, so that the workspace's rows can be compared with it.
    for other in (f"{PREDICTIONS}#llara", "workspace#llara"):
        monkeypatch.setattr(sys, "argv", ["llara", "compare", f"{PREDICTIONS}#tiny", other, "--json"])
        with pytest.raises(SystemExit) as ended:
            program.main()
        assert not ended.value.code
        found = json.loads(capsys.readouterr().out)
        assert (found["n_lists"], found["n_users"]) == (8, 4)
        assert [variant["mean"] for variant in found["variants"]] == [0.5, 0.5]


def test_the_table_has_all_rows(ask: Run) -> None:
    with serving(well) as server:
        status, out, _ = ask(server, "--yes")
    assert status == 0
    row = next(line for line in out.splitlines() if "│ tiny " in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["tiny", "0.500", "[0.150, 0.850]", "–", "0.750"]
    assert "│ recommender │ 1.000" in out
    assert "4 lists of 4 users" in out
    assert _last(out) == f"4 requests and 220 tokens this time; answers and metrics are in {PREDICTIONS}"


@pytest.mark.parametrize("options", [("--plan",), ("--plan", "--json"), (), ("--json",)])
def test_nothing_is_sent_without_a_limit_or_consent(
    ask: Run, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")  # which isn't asked for either
    with serving(well) as server:
        status, out, err = ask(server, *options)
    assert not server.prompts
    assert not Path(".llara").exists()
    assert not PREDICTIONS.exists()
    if "--plan" not in options:
        assert status == 1
        assert _last(err).startswith(
            "error: nothing is sent without --limit, --max-requests, --max-tokens or --yes; tiny"
        )
        return
    assert status == 0
    if "--json" in options:
        found = json.loads(out)
        assert (found["lists"], found["prompts"]) == (4, 4)
        assert found["prompt_tokens"] < found["most_tokens"]
    else:
        assert out.startswith("tiny at 127.0.0.1:")
        assert "4 prompts of 4 lists to send, about 2" in out


@pytest.mark.parametrize(("typed", "n_sent"), [("y\n", 4), ("n\n", 0), ("\n", 0)])
def test_in_a_terminal_consent_is_asked_for(ask: Run, monkeypatch: pytest.MonkeyPatch, typed: str, n_sent: int) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", terminal)
    with serving(well) as server:
        status, _, err = ask(server)
    assert (len(server.prompts), status) == (n_sent, 0 if n_sent else 1)
    assert n_sent or _last(err).endswith("error: nothing was sent")
    assert err.count("4 prompts of 4 lists to send") == 1


def test_a_limit_of_requests_is_never_passed_and_the_next_run_goes_on(ask: Run) -> None:
    with serving(well) as server:
        status, out, _ = ask(server, "--max-requests", "3", "--concurrency", "1")
        assert (status, len(server.prompts)) == (0, 3)
        assert out.startswith("limit reached: 1 of 4 lists are left, after 3 requests and 165 tokens this time; ")
        assert _last(out).endswith("or --limit 3 judges the first 3 of them")
        assert not PREDICTIONS.exists()
        first = json.loads(ask(server, "--limit", "3", "--json")[1])  # without a request
        assert (first["sent"]["requests"], first["metrics"]["lists"]["n_lists"]) == (0, 3)
        status, out, _ = ask(server, "--max-requests", "3", "--json")
        assert (status, json.loads(out)["left"], json.loads(out)["sent"]["requests"]) == (0, 0, 1)
    assert len(set(server.prompts)) == len(server.prompts) == 4


def test_a_limit_of_tokens_is_never_passed(ask: Run) -> None:
    # A prompt and its reply may have some 400 tokens (its bytes, and 192); all of them have cost 55.
    with serving(well) as server:
        status, out, err = ask(server, "--max-tokens", "100", "--json")
        assert (status, len(server.prompts)) == (1, 0)
        least = int(_last(err).split("≥ ")[1].split(",")[0])
        assert _last(err).endswith(", which the next prompt and its reply may have, got 100")
        status, out, _ = ask(server, "--max-tokens", str(least), "--json")
        found = json.loads(out)
        assert (status, found["sent"], found["left"], found["first"]) == (0, {"requests": 1, "tokens": 55}, 3, 1)
        assert (found["metrics"], found["predictions"]) == (None, None)
    assert len(server.prompts) == 1


def test_retries_count_too(ask: Run) -> None:
    with serving(lambda request: request.refuse(500, "no") if request.number % 2 == 0 else well(request)) as server:
        found = json.loads(ask(server, "--max-requests", "5", "--concurrency", "1", "--json")[1])
    assert len(server.prompts) == found["sent"]["requests"] == 5
    assert found["left"] == 2


def _first(n: int, broken: Behaviour) -> Behaviour:
    """Misbehave n times, then well."""
    return lambda request: broken(request) if request.number < n else well(request)


@pytest.mark.parametrize(
    "broken",
    [
        lambda request: request.refuse(429, "slowly", Retry_After="0.01"),
        lambda request: request.refuse(500, "no"),
        lambda request: request.send(200, "{'nonsense'", Content_Type="application/json"),
        lambda request: request.send(200, "<html>", Content_Type="text/html"),
        lambda request: request.send(200, '{"choices": []}'),
        Request.cut,
        Request.hang_up,
        hang,
    ],
    ids=["429", "500", "nonsense", "html", "no choices", "cut", "hang up", "hang"],
)
def test_an_endpoint_that_misbehaves_for_a_while_gives_the_same_row(ask: Run, broken: Behaviour) -> None:
    with serving(_first(3, broken)) as server:
        # On a busy machine one that behaves may take longer than that too.
        status, out, _ = ask(server, "--yes", "--json", "--timeout", "0.4" if broken is hang else "30")
    found = json.loads(out)
    assert (status, found["metrics"]["models"]["tiny"]["hit_ratio_at_1"]) == (0, 0.5)
    assert len(server.prompts) == found["sent"]["requests"] >= 7
    assert broken is hang or len(server.prompts) == 7


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (
            lambda request: request.refuse(401, f"Incorrect API key: {KEY}"),
            "the endpoint refuses the key in $OPENAI_API_KEY",
        ),
        (
            lambda request: request.refuse(404, "no such model", "model_not_found"),
            "HTTP 404: no such model; must be a model",
        ),
        (lambda request: request.refuse(429, "pay", "insufficient_quota"), "HTTP 429: pay; "),
        (lambda request: request.refuse(429, "x", Retry_After="86400"), "the endpoint asks to wait 86400 s"),
        (lambda request: request.refuse(503, "no"), "HTTP 503: no (5 attempts)"),
        (
            lambda request: request.send(200, "Lorem"),
            "a reply must be a chat completion in JSON, got application/json: Lorem",
        ),
        (lambda request: request.send(200, '{"choices": []}'), "its choices is unusable"),
    ],
    ids=["key", "model", "quota", "long pause", "503", "nonsense", "no choices"],
)
def test_an_endpoint_that_stays_broken_is_one_line_and_what_was_answered_is_kept(
    ask: Run, broken: Behaviour, words: str
) -> None:
    with serving(lambda request: well(request) if request.number < 2 else broken(request)) as server:
        status, out, err = ask(server, "--yes", "--concurrency", "1")
    assert (status, out) == (1, "")
    assert _last(err).startswith("error: ")
    assert words in _last(err)
    assert "2 of 4 lists are left" in _last(err)
    assert "Traceback" not in err
    with serving(well) as again:
        found = json.loads(ask(again.url, "--yes", "--json")[1])
        assert found["left"] == 0
    assert not PREDICTIONS.exists() or len(again.prompts) == 4  # another address is another judge


def test_an_endpoint_that_is_down_is_one_line(ask: Run) -> None:
    with serving(well) as server:
        pass
    status, out, err = ask(server, "--yes")
    assert (status, out) == (1, "")
    assert f"error: {server.url} can't be reached: " in _last(err)
    assert "4 of 4 lists are left" in _last(err)


def test_a_key_that_is_missing_is_one_line(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with serving(well) as server:
        said = _last(ask(server, "--yes")[2])
        assert said.startswith("error: $OPENAI_API_KEY must hold the endpoint's key, got nothing")
        monkeypatch.setenv("OTHER", KEY)
        assert ask(server, "--yes", "--key-from", "OTHER")[0] == 0
        monkeypatch.delenv("OTHER")
        assert ask(server, "--json", "--key-from", "OTHER")[0] == 0  # all is stored
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert len(server.prompts) == 4


def test_answers_of_other_settings_do_not_count_and_are_named(ask: Run) -> None:
    with serving(well) as server:
        ask(server, "--yes", "--temperature", "1")
        _, _, err = ask(server, "--yes")
        assert len(server.prompts) == 8
    assert "4 stored answers were asked for with temperature 1.0: not used here" in err


def test_stored_answers_of_others_under_this_name_are_refused(ask: Run) -> None:
    with serving(well) as server:
        ask(server, "--yes")
        [path] = Path(".llara/answers").glob("*.jsonl")
        path.write_text(path.read_text().replace('"temperature": 0.0', '"temperature": 1.0'))
        status, _, err = ask(server, "--yes")
    assert status == 1
    assert _last(err).startswith(f"error: {path}: its first line must be the settings of its answers")
    assert len(server.prompts) == 4


def test_a_reply_that_is_empty_is_remarked_upon(ask: Run) -> None:
    with serving(lambda request: request.answer("", finish="length")) as server:
        status, out, _ = ask(server, "--yes", "--json", "--reply-tokens", "5")
    found = json.loads(out)
    assert (status, found["metrics"]["models"]["tiny"]["valid_ratio"]) == (0, 0.0)
    assert "4 of 4 replies are empty, and count as wrong answers" in found["notes"]
    assert any(note.startswith("4 of 4 replies were cut at --reply-tokens 5") for note in found["notes"])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("data/processed/items.parquet", "no such file; run `dvc repro`"),
        ("data/candidates/candidates.parquet", "no such file; run `dvc repro`"),
    ],
)
def test_without_stored_lists_the_command_that_makes_them_is_named(ask: Run, path: str, words: str) -> None:
    Path(path).unlink()
    with serving(well) as server:
        status, _, err = ask(server, "--yes")
    assert status == 1
    assert _last(err).startswith(f"error: {path}: {words}")
    assert not server.prompts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--name", "../x"), "--name must be of letters"),
        (("--name", "llara"), "--name must be none of lists, llara, recommender, got llara"),
        (("--draws", "3"), "--draws must be ≤ 2"),
        (("--positions", "all"), "--draws must be ≤ 0"),
        (("--system", ""), "--system is unusable"),
    ],
)
def test_bad_options_cost_nothing(ask: Run, options: tuple[str, ...], words: str) -> None:
    with serving(well) as server:
        status, _, err = ask(server, "--yes", *options)
    assert (status, server.prompts) == (1, [])
    assert _last(err).startswith(f"error: {words}")


def test_without_an_evaluation_its_row_stands_alone(ask: Run) -> None:
    for path in Path("data/predictions").iterdir():
        path.unlink()
    with serving(well) as server:
        _, out, err = ask(server, "--yes", "--json", "--name", "judge")
    assert list(json.loads(out)["metrics"]["models"]) == ["judge"]
    assert "note: no rows beside it" in err
    assert Path("data/outside/judge/judge.parquet").is_file()


def _start(server: Server, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "llara", "ask-api", "--base-url", server.url, "--model", "tiny", "--draws", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*command, "--yes", *options], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_killed_run_asks_nothing_twice_that_was_answered(ask: Run, concurrency: int) -> None:
    answered, lock, blocked = list[str](), Lock(), Event()

    def behave(request: Request) -> None:
        with lock:
            is_late = request.number >= 4 and not blocked.is_set()
        if is_late:  # the kill comes while these are on their way
            blocked.wait(20)
            request.hang_up()
            return
        well(request)
        with lock:
            answered.append(request.prompt)

    with serving(behave) as server:
        process = _start(server, "--concurrency", str(concurrency))
        end = time.monotonic() + 60
        while len(server.prompts) < 4 + concurrency and time.monotonic() < end:
            time.sleep(0.005)
        assert len(answered) == 4
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        blocked.set()
        [path] = Path(".llara/answers").glob("*.jsonl")
        path.write_bytes(path.read_bytes() + b'{"key": "torn')
        status, out, _ = ask(server, "--yes", "--draws", "2", "--json")
    found = json.loads(out)
    assert (status, found["left"], found["metrics"]["models"]["tiny"]["hit_ratio_at_1"]) == (0, 0, 0.5)
    assert Counter(answered).most_common(1)[0][1] == 1
    assert len(answered) == 8
    assert found["sent"]["requests"] == 4


@pytest.fixture
def _heeding_interrupts() -> Iterator[None]:
    """For processes that are started: those of a shell's background job have it that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeding_interrupts")
def test_an_interrupted_run_keeps_what_is_on_its_way(ask: Run) -> None:
    let_go = Event()

    def behave(request: Request) -> None:
        if request.number >= 2:
            let_go.wait(20)
        well(request)

    with serving(behave) as server:
        process = _start(server, "--concurrency", "2")
        end = time.monotonic() + 60
        while len(server.prompts) < 4 and time.monotonic() < end:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        waiting = "ending: waiting for the replies that are on their way, which are paid for"
        said = list(takewhile(lambda line: waiting not in line, process.stderr))
        let_go.set()
        err = "".join(said) + process.communicate(timeout=60)[1]
        assert process.returncode == 130
        assert "4 of 8 lists are left, after 4 requests and 220 tokens this time" in _last(err)
        assert "Traceback" not in err
        assert len(server.prompts) == 4  # two were answered, two on their way
        assert json.loads(ask(server, "--yes", "--draws", "2", "--json")[1])["sent"]["requests"] == 4
