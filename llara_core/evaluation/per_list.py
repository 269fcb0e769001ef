"""What each stored list counts for, metric by metric: every table of results is a mean of these."""

import difflib
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from llara_core.errors import ArtifactError, ParamsError
from llara_core.recommenders.rank_metrics import gains
from llara_core.tables.predictions import NONE, SCORED, Asked, Predictions

PerList = Callable[[Predictions, Asked], np.ndarray]


def metric(name: str) -> PerList:
    """Return the metric of that name.

    Raises:
        ParamsError: there is none; the message names the nearest.
    """
    if name not in METRICS:
        nearest = difflib.get_close_matches(name, METRICS, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        raise ParamsError(f"metric must be one of {', '.join(METRICS)}, got {name!r}{hint}")
    return METRICS[name]


def _first_is_right(predictions: Predictions, asked: Asked) -> np.ndarray:
    """[R] whether the named candidate is the target; a score that another reaches too is a miss."""
    matches = np.array(predictions.matches)
    right = (predictions.matched_items == asked.sets.targets) & (matches != NONE)
    if (ranks := predictions.target_ranks(asked.sets)) is not None:
        right = np.where(matches == SCORED, ranks == 1, right)
    return right.astype(float)


def _is_valid(predictions: Predictions, _: Asked) -> np.ndarray:
    return (np.array(predictions.matches) != NONE).astype(float)


def _hit(cut: int, predictions: Predictions, asked: Asked) -> np.ndarray:
    return (_ranks(predictions, asked) <= cut).astype(float)


def _discounted_gain(cut: int, predictions: Predictions, asked: Asked) -> np.ndarray:
    """[R] nDCG of one relevant candidate: the ideal gain is 1."""
    return gains(_ranks(predictions, asked), cut)


def _reciprocal_rank(predictions: Predictions, asked: Asked) -> np.ndarray:
    return 1 / _ranks(predictions, asked)


def _ranks(predictions: Predictions, asked: Asked) -> np.ndarray:
    if (ranks := predictions.target_ranks(asked.sets)) is None:
        raise ArtifactError(
            "a metric of ranks needs the scores of all candidates, got answers that were written freely; "
            "hit_ratio_at_1 and valid_ratio need none"
        )
    return ranks


METRICS: Mapping[str, PerList] = {
    "hit_ratio_at_1": _first_is_right,
    **{f"hit_ratio_at_{cut}": partial(_hit, cut) for cut in (3, 5, 10)},
    **{f"ndcg_at_{cut}": partial(_discounted_gain, cut) for cut in (5, 10)},
    "mrr": _reciprocal_rank,
    "valid_ratio": _is_valid,
}
"""Name → [R] floats in 0..1, higher is better, of one model's answers to R lists. ArtifactError where they need scores
that there are none of."""
