"""Shares with intervals that respect that several draws of one user are not independent."""

import numpy as np
from scipy import stats

_UPPER = 0.975  # the quantile at the upper end of 95 % intervals


def share_with_interval(hits: np.ndarray, users: np.ndarray) -> tuple[float, float, float]:
    """Share of hits and its 95 % interval, with users as clusters.

    Wilson's interval (1927) with the effective sample size p(1 − p) / Var(p) of Korn & Graubard (1998), which is that
    of hits at most. Var(p) is the jackknife's over users, and so the quantile is Student's. Where it can't be told, as
    all lists are hits or none is, the size is Kish's number of users, (Σ n_u)² / Σ n_u², which is their number where
    all have as many draws n_u. With one draw a user this is Wilson's interval itself.

    Args:
        hits: [R] bool, or 0 and 1.
        users: [R] the user of each hit.

    Returns:
        share, low, high.

    Raises:
        ValueError: there are no hits to count.
    """
    if not len(hits):
        raise ValueError("hits must not be empty")
    share = float(hits.mean())
    _, clusters, sizes = np.unique(users, return_inverse=True, return_counts=True)
    n_hits, kish = len(hits), len(hits) ** 2 / int((sizes**2).sum())
    if len(sizes) < 2 or len(sizes) == n_hits or share in (0.0, 1.0):
        return share, *_wilson(share, kish, float(stats.norm.ppf(_UPPER)))
    variance = _ratio_variance(share, np.bincount(clusters, weights=hits.astype(float)), sizes)
    size = min(share * (1 - share) / variance, n_hits) if variance else n_hits
    return share, *_wilson(share, size, float(stats.t.ppf(_UPPER, len(sizes) - 1)))


def mean_with_interval(values: np.ndarray, users: np.ndarray) -> tuple[float, float, float]:
    """Mean of values in 0..1 and its 95 % interval by Student's t, with users as clusters.

    Args:
        values: [R].
        users: [R] the user of each value.

    Returns:
        mean, low, high.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("values must not be empty")
    mean, half = _mean_and_half_width(values, users)
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def difference_with_interval(first: np.ndarray, second: np.ndarray, users: np.ndarray) -> tuple[float, float, float]:
    """Mean of first − second and its 95 % interval by Student's t, paired, with users as clusters.

    Args:
        first: [R] values of one model.
        second: [R] of another on the same examples.
        users: [R] the user of each example.

    Returns:
        mean, low, high; of one user alone, an interval without ends.
    """
    mean, half = _mean_and_half_width(first - second, users)
    return mean, mean - half, mean + half


def _mean_and_half_width(values: np.ndarray, users: np.ndarray) -> tuple[float, float]:
    mean = float(values.mean())
    _, clusters, sizes = np.unique(users, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return mean, float("inf")  # one user says nothing of others
    deviation = np.sqrt(_ratio_variance(mean, np.bincount(clusters, weights=values), sizes))
    return mean, float(stats.t.ppf(_UPPER, len(sizes) - 1) * deviation)


def _ratio_variance(ratio: float, totals: np.ndarray, sizes: np.ndarray) -> float:
    """Between-user variance of Σ totals / Σ sizes, by the jackknife, which leaves out one user at a time.

    Where sizes differ much, the usual linearised one is too small.
    """
    without = (totals.sum() - totals) / (sizes.sum() - sizes)
    return (len(sizes) - 1) / len(sizes) * float(((without - ratio) ** 2).sum())


def _wilson(share: float, size: float, z: float) -> tuple[float, float]:
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
