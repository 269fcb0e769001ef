"""Stored answers: what a kill, a full disk or another run does to them."""

import errno
import json
import os
from pathlib import Path
from threading import Thread

import pytest

from llara_core.errors import ArtifactError, RequestError
from llara_core.outside_judge.replies import Reply
from llara_core.outside_judge.settings import Settings
from llara_core.outside_judge.store import AnswerStore, other_ways
from tests.outside_judge.test_endpoint import settings_for

SETTINGS = settings_for("https://h/v1")


def reply(text: str) -> Reply:
    return Reply(answer=text, finish="stop", prompt_tokens=30, reply_tokens=3, model="tiny-2026")


def _fill(folder: Path, answers: dict[str, str], settings: Settings = SETTINGS) -> Path:
    with AnswerStore(folder, settings).open() as store:
        for prompt, text in answers.items():
            store.add(prompt, reply(text))
    return store.path


def _answers(folder: Path, *prompts: str) -> list[str | None]:
    store = AnswerStore(folder, SETTINGS)
    return [None if (found := store.get(prompt)) is None else found.answer for prompt in prompts]


def test_answers_are_there_again(tmp_path: Path) -> None:
    path = _fill(tmp_path / "answers", {"a": "Heat", "b": "“Amélie”\n\u2028\ud800"})
    assert _answers(path.parent, "a", "c") == ["Heat", None]
    assert AnswerStore(path.parent, SETTINGS).get("a") == reply("Heat")
    _fill(path.parent, {"c": "Babe"})
    assert _answers(path.parent, "a", "b", "c") == ["Heat", "“Amélie”\n\u2028?", "Babe"]
    head, *lines = path.read_text().splitlines()[:2]
    assert json.loads(head) == {"version": 1, "settings": SETTINGS.model_dump()}
    assert json.loads(lines[0])["key"] == SETTINGS.key_of("a")


def test_reading_makes_no_file(tmp_path: Path) -> None:
    assert len(AnswerStore(tmp_path / "answers", SETTINGS)) == 0
    assert not list(tmp_path.iterdir())
    with AnswerStore(tmp_path / "answers", SETTINGS).open():
        pass
    assert not list((tmp_path / "answers").glob("*.jsonl"))


def test_a_file_that_was_cut_anywhere_goes_on_with_its_whole_lines(tmp_path: Path) -> None:
    path = _fill(tmp_path, {"a": "Heat", "b": "Babe"})
    whole = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    sizes = {*range(0, len(whole), 23), *(end + beside for end in ends for beside in (-1, 0, 1) if end < len(whole))}
    for size in sorted(sizes):
        path.write_bytes(whole[:size])
        kept = sum(end <= size for end in ends)
        expected = ["Heat" if kept > 1 else None, "Babe" if kept > 2 else None]
        assert _answers(tmp_path, "a", "b") == expected
        _fill(tmp_path, {"c": "Alien"})
        assert _answers(tmp_path, "a", "b", "c") == [*expected, "Alien"]
        if kept:
            assert path.read_bytes().startswith(whole[: ends[kept - 1]])


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"\xff\xfe", b"[1]", b'{"key": "k"}', b'{"answer": "Heat"}', b'{"key": "k", "answer": 7}'],
)
def test_a_damaged_line_is_left_out(tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = _fill(tmp_path, {"a": "Heat", "b": "Babe"})
    head, first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([head, line, second, b""]))
    assert _answers(tmp_path, "a", "b") == [None, "Babe"]
    assert f"{path}: 1 damaged lines, which are asked again" in caplog.text
    path.write_bytes(b"\n".join([head, first, line, second, b""]))
    assert _answers(tmp_path, "a", "b") == ["Heat", "Babe"]


@pytest.mark.parametrize("head", ["", "{}", "nonsense", '{"version": 2, "settings": {}}'])
def test_a_file_that_is_none_of_these_settings_is_refused(tmp_path: Path, head: str) -> None:
    path = _fill(tmp_path, {"a": "Heat"})
    path.write_text("\n".join([head, *path.read_text().splitlines()[1:], ""]))
    with pytest.raises(
        ArtifactError, match=r"its first line must be the settings of its answers, .* move the file away"
    ):
        AnswerStore(tmp_path, SETTINGS)


def test_answers_to_other_settings_are_not_taken_and_said_to_be_there(tmp_path: Path) -> None:
    warm = settings_for("https://h/v1", temperature=1.0, reply_tokens=500)
    other = settings_for("https://h/v1", model="large")
    path = _fill(tmp_path, {"a": "Heat", "b": "Babe"}, warm)
    _fill(tmp_path, {"a": "Heat"}, other)
    (tmp_path / "stray.jsonl").write_text("nonsense")
    assert _answers(tmp_path, "a") == [None]
    [note] = other_ways(tmp_path, SETTINGS)
    assert note == (f"{path}: 2 stored answers were asked for with temperature 1.0, reply_tokens 500: not used here")
    assert other_ways(tmp_path, other) == []
    assert other_ways(tmp_path / "none", SETTINGS) == []


def test_an_answer_that_does_not_fit_on_the_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _fill(tmp_path, {"a": "Heat"})
    before = path.read_bytes()
    with AnswerStore(tmp_path, SETTINGS).open() as store:

        def fail(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="No space left"):
                store.add("b", reply("Babe"))
        assert path.read_bytes() == before
        assert store.get("b") is None
        store.add("c", reply("Alien"))
    assert _answers(tmp_path, "a", "b", "c") == ["Heat", None, "Alien"]


def test_one_run_at_a_time_adds_answers(tmp_path: Path) -> None:
    first = AnswerStore(tmp_path, SETTINGS)
    late = AnswerStore(tmp_path, SETTINGS)
    with first.open() as store:
        store.add("a", reply("Heat"))
        with pytest.raises(RequestError, match="another run is asking the same model"), late.open():
            pass
    with late.open():
        assert late.get("a") == reply("Heat")  # which was added after it had read the file


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    with AnswerStore(tmp_path, SETTINGS).open() as store:
        threads = [
            Thread(target=lambda n=n: [store.add(f"{n} {i}", reply("Heat " * 500)) for i in range(10)])
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(AnswerStore(tmp_path, SETTINGS)) == 80
