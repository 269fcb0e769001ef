"""What is written down of a suite's runs, and read again."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llara_core.errors import ArtifactError
from llara_core.experiments.journal import Journal
from llara_core.experiments.machine import describe_machine
from llara_core.experiments.runs import Run
from llara_core.experiments.suites import Suite

SUITE = Suite(
    question="Does it pay?", minutes=10.0, examples=64, baseline="a", everywhere=["x=1"], arms={"b": ["y=1"], "a": []}
)
OBJECTIVE = SimpleNamespace(examples_per_epoch=16, batch_size=4)
PARAMS = SimpleNamespace(curriculum=SimpleNamespace(epochs=2), selected_objective=OBJECTIVE)


def _run(arm: str, seed: int) -> Run:
    return Run(f"suite-{arm}-s{seed}-0", arm, seed, (), cast("Any", PARAMS), (), {})


def test_a_suite_is_read_as_the_last_command_ran_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.suite("suite") is None
    journal.begin("suite", SUITE, 10, [_run("a", 0), _run("b", 0)], [])
    journal.begin("suite", SUITE, 2.5, [_run("a", 0), _run("b", 0), _run("a", 1)], [])
    found = journal.suite("suite")
    assert found
    assert (found.question, found.baseline, found.minutes, found.examples) == ("Does it pay?", "a", 2.5, 32)
    assert [(run.name, run.arm, run.seed) for run in found.runs] == [
        ("suite-a-s0-0", "a", 0),
        ("suite-b-s0-0", "b", 0),
        ("suite-a-s1-0", "a", 1),
    ]
    assert (found.arms, found.everywhere) == ({"a": [], "b": ["y=1"]}, ["x=1"])


def test_a_failure_stays_until_the_run_is_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.end("suite-a-s0-0", "failed", 1.5, ["out of", "memory"])
    journal.begin("suite", SUITE, 10, [_run("a", 0)], [])
    found = journal.run("suite-a-s0-0")
    assert found
    assert (found.status, found.seconds, found.why) == ("failed", 1.5, ["out of", "memory"])
    assert found.machine == describe_machine()
    # A killed command's run may have ended well without it.
    journal.begin("suite", SUITE, 10, [_run("a", 0)], ["suite-a-s0-0"])
    found = journal.run("suite-a-s0-0")
    assert found
    assert (found.status, found.seconds, found.why) == ("done", None, [])
    journal.end("suite-a-s0-0", "done", 3.0)
    journal.begin("suite", SUITE, 10, [_run("a", 0)], ["suite-a-s0-0"])
    kept = journal.run("suite-a-s0-0")
    assert kept
    assert kept.seconds == 3.0
    assert journal.run("suite-b-s0-0") is None


def test_a_damaged_entry_is_one_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.end("suite-a-s0-0", "done", 3.0)
    path = tmp_path / "runs" / "suite-a-s0-0.json"
    path.write_text(path.read_text().replace('"done"', '"fine"'))
    with pytest.raises(
        ArtifactError, match=r"suite-a-s0-0.json: status must be 'done' or 'failed', got 'fine'; remove"
    ):
        journal.run("suite-a-s0-0")
    path.write_text("{")
    with pytest.raises(ArtifactError, match="remove it, and repeat"):
        journal.run("suite-a-s0-0")


def test_the_machine_is_described_in_words() -> None:
    found = describe_machine()
    assert int(found["cores"]) >= 1
    assert found["numpy"].count(".") >= 1
    assert all(isinstance(words, str) and words for words in found.values())
