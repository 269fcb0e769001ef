"""Wilson's interval, by solving the equation that defines it."""

import numpy as np
import pytest
from scipy import stats


def wilson(share: float, size: float, n_users: int | None = None) -> tuple[float, float, float]:
    """Solve (p − share)² = z² p (1 − p) / size for p, with Student's quantile where n_users are clusters.

    Returns:
        share, low and high, to be compared approximately.
    """
    z = stats.norm.ppf(0.975) if n_users is None else stats.t.ppf(0.975, n_users - 1)
    ends = np.roots([size + z**2, -(2 * size * share + z**2), size * share**2])
    return pytest.approx((share, min(ends), max(ends)))
