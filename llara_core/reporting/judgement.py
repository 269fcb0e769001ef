"""A suite's runs judged: what each arm scores by itself, beside the baseline, by parts, and beside its recommender."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from llara_core.errors import ArtifactError
from llara_core.evaluation.comparison import Difference, require_same_lists
from llara_core.evaluation.comparison_report import Own, Pair, Variant, describe, report
from llara_core.evaluation.slices import slices_of
from llara_core.experiments.outcome import Outcome, compare_arms
from llara_core.reporting.results import RunResult, SuiteResults
from llara_core.tables.predictions import Asked

BOOTSTRAP_SEED = 0
Parts = Mapping[str, Mapping[str, Difference]]
"""By property of a list (history_length, target_n_train) and range of it."""


@dataclass(frozen=True)
class Judged:
    """What came out of a suite.

    Attributes:
        metric: of which everything is.
        variants: arms with results, in order.
        outcome: their comparison with the baseline.
        left_out: arms without, and how that is.
        own_parts: by arm, property and range, the arm by itself; ranges are the baseline's, where lists are its own.
        beside_recommender: by arm, arm − recommender in parts.
    """

    metric: str
    variants: Mapping[str, Variant]
    outcome: Outcome
    left_out: Mapping[str, str]
    own_parts: Mapping[str, Mapping[str, Mapping[str, tuple[Own, int, int]]]]
    beside_recommender: Mapping[str, Parts]

    @property
    def owns(self) -> dict[str, Own]:
        """Each arm by itself."""
        compared = self.outcome.compared.variants if self.outcome.compared else []
        return {own.name: own for own in [*compared, *(entry.own for entry in self.outcome.beside)]}

    @property
    def pairs(self) -> dict[str, Pair]:
        """Each arm that is compared with the baseline."""
        return {pair.first: pair for pair in self.outcome.compared.pairs} if self.outcome.compared else {}

    @property
    def reasons(self) -> dict[str, str]:
        """Why arms only stand beside the others."""
        return {entry.own.name: entry.why for entry in self.outcome.beside}


def judge(suite: SuiteResults, metric: str, n_resamples: int) -> Judged:
    """Compare a suite's arms by a metric, whose values its runs hold."""
    variants, left_out = dict[str, Variant](), dict[str, str]()
    for arm in suite.arms:
        runs = [run for run in suite.runs if run.arm == arm]
        done = [run for run in runs if run.answers is not None]
        if not done:
            left_out[arm] = _how_it_is(runs)
            continue
        try:
            variants[arm] = _variant(arm, done)
        except ArtifactError as error:
            left_out[arm] = f"can't be read ({error})"
    arms = list(variants.values())
    outcome = compare_arms(arms, suite.baseline, metric, BOOTSTRAP_SEED, n_resamples, with_slices=True)
    paired = {own.name for own in outcome.compared.variants} if outcome.compared else set()
    asked = variants[suite.baseline].asked if paired else None
    return Judged(
        metric,
        variants,
        outcome,
        left_out,
        {arm: _own_parts(found, asked if asked and arm in paired else found.asked) for arm, found in variants.items()},
        {
            arm: parts
            for arm, found in variants.items()
            if (parts := _beside_recommender(found, suite.runs, metric, n_resamples))
        },
    )


def _how_it_is(runs: Sequence[RunResult]) -> str:
    if any(run.status == "failed" for run in runs):
        return "failed"
    return "can't be read" if any(run.status == "done" for run in runs) else "has no run yet"


def _variant(arm: str, runs: Sequence[RunResult]) -> Variant:
    answers = [run.answers for run in runs if run.answers is not None]
    for run, other in zip(runs[1:], answers[1:], strict=True):
        require_same_lists(answers[0].asked, other.asked, (runs[0].name, run.name))
    return Variant(arm, answers[0].asked, np.stack([one.values for one in answers]), tuple(run.seed for run in runs))


def _own_parts(variant: Variant, asked: Asked) -> dict[str, dict[str, tuple[Own, int, int]]]:
    """Describe parts of its lists: by itself, with the numbers of lists and users."""
    return {
        name: {label: _part(variant, mask) for label, mask in masks.items()} for name, masks in slices_of(asked).items()
    }


def _part(variant: Variant, mask: np.ndarray) -> tuple[Own, int, int]:
    asked = variant.asked
    inside = replace(asked, sets=asked.sets.select(mask), n_train=asked.n_train[mask])
    own = describe(replace(variant, asked=inside, values=variant.values[:, mask]))
    return own, int(mask.sum()), len(np.unique(inside.sets.user_ids))


def _beside_recommender(variant: Variant, runs: Sequence[RunResult], metric: str, n_resamples: int) -> Parts:
    """Arm − recommender, seed by seed; nothing where a run has no recommender's answers."""
    answers = [run.answers for run in runs if run.arm == variant.name and run.answers is not None]
    beside = [one.recommender for one in answers if one.recommender is not None]
    if len(beside) < len(answers):
        return {}
    recommender = Variant("recommender", variant.asked, np.stack(beside), variant.seeds)
    found = report([variant, recommender], metric, True, BOOTSTRAP_SEED, n_resamples)
    return {"all": {"all": found.pairs[0].difference}, **found.pairs[0].slices}
