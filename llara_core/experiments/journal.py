"""What became of a suite's runs, written down as they end: a failed run leaves no experiment that could tell."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from llara_core.errors import ArtifactError
from llara_core.experiments.machine import describe_machine
from llara_core.experiments.runs import Run, n_examples
from llara_core.experiments.suites import ArmName, Suite, SuiteName
from llara_core.params.base import Count, Name, PositiveFloat, PositiveInt, Section
from llara_core.params.loading import describe_problems
from llara_core.runtime.files import write_json

_Entry = TypeVar("_Entry", bound=Section)


class PlannedRun(Section):
    """A run that a command was to make: its experiment's name, and what it is."""

    name: Name
    arm: ArmName
    seed: Count


class SuiteEntry(Section):
    """A suite as the last command ran it.

    Attributes:
        question, baseline, everywhere, arms: as experiments.yaml had them.
        minutes: of tuning.
        examples: that each arm was tuned on.
        runs: every arm with every seed, in order.
    """

    question: Name
    baseline: Name
    everywhere: list[Name]
    arms: dict[ArmName, list[Name]]
    minutes: PositiveFloat
    examples: PositiveInt
    runs: list[PlannedRun]


class RunEntry(Section):
    """How a run ended.

    Attributes:
        status: whether it has results.
        seconds: from its start to its end; None where it was found finished.
        why: the last lines of a failed run's log.
        machine: that it ran on, with versions of libraries.
    """

    status: Literal["done", "failed"]
    seconds: float | None
    why: list[str]
    machine: dict[str, str]


class Journal:
    """Entries below .llara/experiments: one file for a suite, and one for a run."""

    def __init__(self, state: Path) -> None:
        """Read and write below `state`."""
        self._suites, self._runs = state / "suites", state / "runs"

    def begin(self, name: str, suite: Suite, minutes: float, runs: Sequence[Run], done: Iterable[str]) -> None:
        """Write down what a command is about to run, in place of what the last one ran.

        Args:
            name: of the suite.
            suite: its arms.
            minutes: of tuning.
            runs: all of them.
            done: names of those that are found finished, though a failure may have been written down meanwhile.
        """
        entry = SuiteEntry(
            question=suite.question,
            baseline=suite.baseline,
            everywhere=suite.everywhere,
            arms=suite.arms,
            minutes=float(minutes),
            examples=n_examples(runs[0].params),
            runs=[PlannedRun(name=run.name, arm=run.arm, seed=run.seed) for run in runs],
        )
        write_json(self._suites / f"{name}.json", entry.model_dump())
        for finished in done:
            if (known := self.run(finished)) is not None and known.status == "failed":
                self._write(finished, RunEntry(status="done", seconds=None, why=[], machine={}))

    def end(self, name: str, status: Literal["done", "failed"], seconds: float, why: Sequence[str] = ()) -> None:
        """Write down how the run of this experiment's name ended, on this machine."""
        self._write(name, RunEntry(status=status, seconds=seconds, why=list(why), machine=describe_machine()))

    def suite(self, name: SuiteName) -> SuiteEntry | None:
        """Return a suite as it was last run; None where it never was.

        Raises:
            ArtifactError: the entry was damaged.
        """
        return _read(self._suites / f"{name}.json", SuiteEntry)

    def run(self, name: str) -> RunEntry | None:
        """Return how a run ended; None where that isn't known.

        Raises:
            ArtifactError: the entry was damaged.
        """
        return _read(self._runs / f"{name}.json", RunEntry)

    def _write(self, name: str, entry: RunEntry) -> None:
        write_json(self._runs / f"{name}.json", entry.model_dump())


def _read(path: Path, kind: type[_Entry]) -> _Entry | None:
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problems = f"{path}: {describe_problems(error)}"
        raise ArtifactError(f"{problems}; remove it, and repeat `python -m stages.experiments`") from error
