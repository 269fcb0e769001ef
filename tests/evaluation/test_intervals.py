"""Intervals over users with several draws, worked by hand."""

import numpy as np
import pytest
from scipy import stats

from llara_core.evaluation.metrics import answer_metrics
from llara_core.evaluation.statistics import difference_with_interval, mean_with_interval, share_with_interval


def _share(hits_of_users: list[list[int]]) -> tuple[float, float, float]:
    users = [user for user, hits in enumerate(hits_of_users) for _ in hits]
    return share_with_interval(np.array([hit for hits in hits_of_users for hit in hits], dtype=bool), np.array(users))


def _wilson(hits: int, size: int) -> tuple[float, float, float]:
    expected = stats.binomtest(hits, size).proportion_ci(method="wilson")
    return pytest.approx((hits / size, expected.low, expected.high))


def test_draws_that_agree_in_part_are_worth_part_of_their_number() -> None:
    # Residuals 1, 0, 0, -1: variance 4/3 · 2 / 8² = 1/24, so 8 draws of 4 users are worth .25 · 24 = 6.
    assert _share([[1, 1], [1, 0], [0, 1], [0, 0]]) == _wilson(3, 6)


def test_users_with_unequal_numbers_of_draws() -> None:
    # Residuals .5, -.5, 1, -1: variance 4/3 · 2.5 / 8² = 5/96, so they are worth .25 · 96/5 = 4.8. With z² = 3.841459:
    # half = 1.959964 / (1 + .800304) · √(.25/4.8 + 3.841459/(4 · 4.8²)) = .333369
    assert _share([[1], [1, 0, 0], [1, 1], [0, 0]]) == pytest.approx((0.5, 0.5 - 0.333369, 0.5 + 0.333369), abs=1e-5)


def test_draws_are_worth_at_least_their_users_and_at_most_their_number() -> None:
    # Residuals .5, .5, -.5, -.5: variance 4/3 · 1 / 12² , worth 27; there are 12 draws.
    assert _share([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]]) == _wilson(6, 12)
    # Residuals 1, 1, -1, -1: variance 4/3 · 4 / 8², worth 3; there are 4 users.
    assert _share([[1, 1], [1, 1], [0, 0], [0, 0]]) == _wilson(2, 4)
    # Residuals .5, 1.5, -1, -1: variance .09375, worth 2.7; users of 1, 3, 2 and 2 draws are worth 8² / 18 = 3.56.
    z = stats.norm.ppf(0.975) ** 2
    half = np.sqrt(z * 0.25 / (32 / 9) + z**2 / (4 * (32 / 9) ** 2)) / (1 + z / (32 / 9))
    assert _share([[1], [1, 1, 1], [0, 0], [0, 0]]) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    # No residual at all: each draw counts.
    assert _share([[1, 0], [1, 0], [0, 1]]) == _wilson(3, 6)


def test_shares_of_0_and_1_are_worth_their_users() -> None:
    assert _share([[1, 1], [1, 1], [1, 1]]) == _wilson(3, 3)
    assert _share([[0, 0], [0, 0]]) == _wilson(0, 2)
    assert _share([[1], [1], [1] * 998])[1] < 0.25  # nearly all are of one user


def test_a_mean_over_users_with_unequal_numbers_of_draws() -> None:
    # Mean .5; residuals .5, -.5, 0: variance 3/2 · .5 / 4² = .046875; t.975 with 2 degrees of freedom = 4.302653
    mean, low, high = mean_with_interval(np.array([1.0, 0.0, 0.5, 0.5]), np.array([1, 2, 3, 3]))
    half = 4.302653 * 0.046875**0.5
    assert (mean, low, high) == pytest.approx((0.5, max(0.0, 0.5 - half), min(1.0, 0.5 + half)))
    # Closer together, so that neither end is cut: residuals .05, -.05, 0: a tenth of that.
    mean, low, high = mean_with_interval(np.array([0.55, 0.45, 0.5, 0.5]), np.array([1, 2, 3, 3]))
    assert (mean, low, high) == pytest.approx((0.5, 0.5 - half / 10, 0.5 + half / 10), abs=1e-6)


def test_a_paired_difference_of_users_with_unequal_numbers_of_draws() -> None:
    # Differences 1, 1 | 0 | 0: mean .5; residuals 1, -.5, -.5: variance 3/2 · 1.5 / 4² = .375²
    first, second = np.array([1.0, 0.9, 0.5, 0.25]), np.array([0.0, -0.1, 0.5, 0.25])
    half = 4.302653 * 0.375
    assert difference_with_interval(first, second, np.array([1, 1, 2, 3])) == pytest.approx(
        (0.5, 0.5 - half, 0.5 + half)
    )
    assert difference_with_interval(second, first, np.array([1, 1, 2, 3])) == pytest.approx(
        (-0.5, -0.5 - half, -0.5 + half)
    )
    assert difference_with_interval(first, second, np.full(4, 7))[1:] == (-np.inf, np.inf)


def test_metrics_count_sets_and_users() -> None:
    metrics = answer_metrics(np.array([1, 1, 0], dtype=bool), np.array([1, 1, 1], dtype=bool), np.array([7, 7, 9]))
    assert (metrics["n_examples"], metrics["n_users"]) == (3, 2)
    assert metrics["hit_ratio_at_1"] == pytest.approx(2 / 3)
    assert (metrics["hit_ratio_at_1"], metrics["hit_ratio_at_1_low"], metrics["hit_ratio_at_1_high"]) == pytest.approx(
        share_with_interval(np.array([1, 1, 0], dtype=bool), np.array([7, 7, 9]))
    )
