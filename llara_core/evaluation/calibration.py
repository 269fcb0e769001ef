"""How far scores are probabilities: whether a model that is sure of its choice with .7 is right in 7 of 10 lists.

Reliability and expected calibration error as in Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017,
arXiv 1706.04599), after Naeini et al. (AAAI 2015); temperature scaling as in its section 4.2.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from llara_core.evaluation.statistics import share_with_interval

_FARTHEST_TEMPERATURE = 1e3  # in both directions, relative to how far apart a list's scores are


def list_probabilities(scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """[R, C] softmax of scores / temperature within each list, in float64.

    Args:
        scores: [R, C] by candidate, higher is better.
        temperature: above 1 less sure, below 1 surer.
    """
    return softmax(_scaled(scores, temperature), axis=1)


def choice_confidence(scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """[R] probability of each list's best scored candidate, for scores [R, C]."""
    return list_probabilities(scores, temperature).max(axis=1)


def reliability(
    confidence: np.ndarray, correct: np.ndarray, users: np.ndarray, bins: int = 10
) -> list[dict[str, float | int]]:
    """Confidence against accuracy in bins of equal width, from the least sure on; empty bins are absent.

    A bin holds its upper end and not its lower, as in Guo et al. and scikit-learn's calibration_curve; the first holds
    0 too.

    Args:
        confidence: [R] in 0..1.
        correct: [R] bool.
        users: [R] ids; a user's lists count as one cluster in the accuracy's 95 % interval.
        bins: number of bins.

    Returns:
        For each bin `from`, `to`, `n_examples`, `n_users`, mean `confidence`, `accuracy`, `accuracy_low` and
        `accuracy_high`.
    """
    rows: list[dict[str, float | int]] = []
    places, edges = _bin(confidence, bins)
    for place in np.unique(places):
        inside = places == place
        accuracy, low, high = share_with_interval(correct[inside], users[inside])
        rows.append(
            {
                "from": float(edges[place]),
                "to": float(edges[place + 1]),
                "n_examples": int(inside.sum()),
                "n_users": len(np.unique(users[inside])),
                "confidence": float(confidence[inside].mean()),
                "accuracy": accuracy,
                "accuracy_low": low,
                "accuracy_high": high,
            }
        )
    return rows


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 10) -> float:
    """Σ over bins of n_b / R · |accuracy_b − confidence_b|, with the bins of `reliability` (Guo et al., equation 3).

    It is biased upwards where bins hold few lists, so compare it only between equally many.

    Args:
        confidence: [R] in 0..1.
        correct: [R] bool.
        bins: number of bins.

    Raises:
        ValueError: there are no lists.
    """
    if not len(confidence):
        raise ValueError("confidence must not be empty")
    places, _ = _bin(confidence, bins)
    gaps = np.bincount(places, weights=correct - confidence.astype(np.float64))  # n_b · (accuracy_b − confidence_b)
    return float(np.abs(gaps).sum() / len(confidence))


def choose_temperature(scores: np.ndarray, target_indices: np.ndarray, listed: np.ndarray | None = None) -> float:
    """Return the temperature of the lowest cross-entropy of the targets; 1 where every list's scores are all equal.

    Cross-entropy is convex in 1 / temperature, so it has one valley over log-temperature, where a bounded search finds
    it. The bounds are 1/1000 and 1000 times the mean distance between a list's best and worst score, so the choice
    doesn't depend on the scores' scale; it goes to the lower where all targets are scored best, and to the upper where
    scores say less than nothing.

    Args:
        scores: [R, C] of validation lists.
        target_indices: [R] column of each target.
        listed: [R, C] bool, which columns belong to a list, its target's among them; by default all.
    """
    listed = np.ones(scores.shape, dtype=bool) if listed is None else listed
    highest, lowest = (np.where(listed, scores, fill) for fill in (-np.inf, np.inf))
    spread = float((highest.max(axis=1) - lowest.min(axis=1)).mean())
    if not spread:
        return 1.0
    middle, reach = np.log(spread), np.log(_FARTHEST_TEMPERATURE)

    def cross_entropy(log_temperature: float) -> float:
        scaled = np.where(listed, _scaled(scores, np.exp(log_temperature)), -np.inf)
        log_probabilities = log_softmax(scaled, axis=1)
        return -float(np.take_along_axis(log_probabilities, target_indices[:, None], axis=1).mean())

    found = minimize_scalar(
        cross_entropy, bounds=(middle - reach, middle + reach), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def _scaled(scores: np.ndarray, temperature: float) -> np.ndarray:
    if not temperature > 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite to become probabilities, got infinite ones or NaN")
    return scores.astype(np.float64) / temperature


def _bin(confidence: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """[R] bin of each value, from 0, and the bins' [bins + 1] edges."""
    if bins < 1:
        raise ValueError(f"bins must be ≥ 1, got {bins}")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError(f"confidence must lie in 0..1, got {np.min(confidence)}..{np.max(confidence)}")
    edges = np.linspace(0, 1, bins + 1)
    return np.searchsorted(edges[1:-1], confidence), edges
