"""Two models together: their scores on the same scale, added with a weight chosen on validation."""

import numpy as np

_WEIGHTS = np.linspace(0, 1, 21)


def standardize(scores: np.ndarray) -> np.ndarray:
    """[R, C] scores with mean 0 and variance 1 in every row; a row of equal scores becomes zeros."""
    flat = scores.max(axis=1, keepdims=True) == scores.min(axis=1, keepdims=True)
    centred = np.where(flat, 0, scores - scores.mean(axis=1, keepdims=True))  # the mean of equals may be rounded off
    deviation = centred.std(axis=1, keepdims=True)
    return centred / np.where(deviation > 0, deviation, 1)


def blend(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """[R, C] weight × z(first) + (1 − weight) × z(second), for scores [R, C] of the same candidates."""
    return weight * standardize(first) + (1 - weight) * standardize(second)


def choose_weight(first: np.ndarray, second: np.ndarray, target_indices: np.ndarray) -> float:
    """Return the weight in 0, .05, …, 1 of the highest HitRatio@1; of equally good ones the middle.

    Args:
        first: [R, C] scores of validation lists.
        second: [R, C] of the same.
        target_indices: [R] column of each target; ties count against it.
    """
    rows = np.arange(len(target_indices))
    hits = []
    for weight in _WEIGHTS:
        scores = blend(first, second, weight)
        own = scores[rows, target_indices][:, None]
        hits.append(int(((scores >= own).sum(axis=1) == 1).sum()))
    best = np.flatnonzero(np.array(hits) == max(hits))
    return float(_WEIGHTS[best[len(best) // 2]])
