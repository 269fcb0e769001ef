"""What came out of a suite: its arms beside the baseline, paired where they were asked about the same lists."""

from collections.abc import Sequence
from dataclasses import dataclass

from llara_core.errors import ArtifactError
from llara_core.evaluation.comparison import require_same_lists
from llara_core.evaluation.comparison_report import Own, Report, Variant, describe, report


@dataclass(frozen=True)
class Beside:
    """An arm that can only be shown beside the others, and why."""

    own: Own
    why: str


@dataclass(frozen=True)
class Outcome:
    """A suite's results: `compared` with the baseline, None where there is nothing to compare; and `beside` it."""

    compared: Report | None
    beside: list[Beside]


def compare_arms(
    arms: Sequence[Variant], baseline: str, metric: str, seed: int, n_resamples: int, *, with_slices: bool = False
) -> Outcome:
    """Compare every arm with the baseline, and with nothing else: that is the question.

    Args:
        arms: those that have a finished run, each with its seeds.
        baseline: the name of one of the suite's arms.
        metric: what was read of them.
        seed: of the bootstrap.
        n_resamples: of the bootstrap.
        with_slices: also by parts of the lists.
    """
    first = next((arm for arm in arms if arm.name == baseline), None)
    paired, beside = ([first] if first else []), []
    for arm in arms:
        if arm is first:
            continue
        if why := _why_not(first, arm, baseline):
            beside.append(Beside(describe(arm), why))
        else:
            paired.append(arm)
    if len(paired) > 1:
        return Outcome(report(paired, metric, with_slices, seed, n_resamples, with_first_alone=True), beside)
    if first:
        beside.insert(0, Beside(describe(first), "the baseline"))
    return Outcome(None, beside)


def _why_not(first: Variant | None, arm: Variant, baseline: str) -> str:
    """Say why an arm can't be paired with the baseline; empty: it can."""
    if first is None:
        return f"the baseline {baseline} has no finished run that can be read"
    if first.seeds and arm.seeds and not set(first.seeds).intersection(arm.seeds):
        return f"no seed of it and of {baseline} is finished"
    try:
        require_same_lists(first.asked, arm.asked, (baseline, arm.name))
    except ArtifactError as error:
        return str(error)
    return ""
