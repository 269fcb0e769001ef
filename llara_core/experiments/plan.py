"""Which stages of a suite's runs are still to be computed, in which order, and how long that may take."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from llara_core.experiments.runs import Run, n_examples


@dataclass(frozen=True)
class Planned:
    """A run that is to come.

    Attributes:
        run: which.
        missing: signatures of the stages that nobody has computed yet, by the stages' names.
        reruns: those of them that it will compute itself, if the runs before it succeed.
    """

    run: Run
    missing: dict[str, str]
    reruns: tuple[str, ...]


def plan(runs: Iterable[Run], known: Mapping[str, Collection[str]]) -> list[Planned]:
    """Say what each run computes when they run in this order; what one has computed, DVC restores for those after it.

    Args:
        runs: to come.
        known: the stages of each, by its name, whose results DVC's cache has.
    """
    computed: set[str] = set()
    planned = []
    for run in runs:
        missing = {stage: digest for stage, digest in run.signatures.items() if stage not in known[run.name]}
        reruns = tuple(stage for stage, digest in missing.items() if digest not in computed)
        computed |= set(missing.values())
        planned.append(Planned(run, missing, reruns))
    return planned


def startable(waiting: Sequence[Planned], running: Sequence[Planned], computed: Collection[str]) -> Planned | None:
    """Return the first run that wouldn't compute a stage that another run is computing already; None: wait.

    Args:
        waiting: in order.
        running: at work.
        computed: signatures that runs have computed since the plan was made.
    """
    being_computed = {digest for other in running for digest in other.missing.values()}.difference(computed)
    for planned in waiting:
        if not being_computed.intersection(planned.missing.values()):
            return planned
    return None


@dataclass(frozen=True)
class Speeds:
    """What was measured in the workspace: None where it wasn't.

    Attributes:
        pretraining: seconds that it took.
        example: seconds that finetuning took for one.
        objective, llm: names of what was finetuned.
    """

    pretraining: float | None
    example: float | None
    objective: str
    llm: str

    def seconds(self, planned: Planned) -> float | None:
        """Estimate pretraining and finetuning of a run, without its other stages; None: nothing is known."""
        params = planned.run.params
        total = 0.0
        if "pretrain" in planned.reruns:
            if self.pretraining is None:
                return None
            total += self.pretraining
        if "finetune" in planned.reruns:
            if self.example is None or (params.train.objective.name, params.llm.name) != (self.objective, self.llm):
                return None
            total += self.example * n_examples(params)
        return total or None
