"""Shares with intervals that respect that several draws of one user are not independent."""

import numpy as np
from scipy import stats

_CONFIDENCE = 0.95


def share_with_interval(hits: np.ndarray, users: np.ndarray) -> tuple[float, float, float]:
    """Share of hits and its 95 % interval, with users as clusters.

    Wilson's interval (1927) with the effective sample size p(1 − p) / Var(p) of Korn & Graubard (1998), where Var(p) is
    the between-user variance of the ratio estimator; the effective size lies between Kish's number of users,
    (Σ n_u)² / Σ n_u², which is their number where all have as many draws n_u, and that of hits. With one draw a user
    this is Wilson's interval itself.

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
    totals = np.bincount(clusters, weights=hits.astype(float))
    low, high = _wilson(share, _effective_size(share, totals, sizes))
    return share, low, high


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
    return mean, float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(sizes) - 1) * deviation)


def _ratio_variance(share: float, totals: np.ndarray, sizes: np.ndarray) -> float:
    """Between-user variance of Σ totals / Σ sizes."""
    n_users = len(sizes)
    residuals = totals - share * sizes
    return n_users / (n_users - 1) * float(residuals @ residuals) / int(sizes.sum()) ** 2


def _effective_size(share: float, totals: np.ndarray, sizes: np.ndarray) -> float:
    n_users, n_hits = int(sizes.sum()) ** 2 / int((sizes**2).sum()), int(sizes.sum())
    if len(sizes) < 2 or n_users == n_hits or share in (0.0, 1.0):
        return n_users
    variance = _ratio_variance(share, totals, sizes)
    return float(np.clip(share * (1 - share) / variance, n_users, n_hits)) if variance else float(n_hits)


def _wilson(share: float, size: float) -> tuple[float, float]:
    z = float(stats.norm.ppf((1 + _CONFIDENCE) / 2))
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
