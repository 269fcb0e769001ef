"""Intervals over users with several draws, worked by hand."""

import numpy as np
import pytest
from scipy import stats

from llara_core.evaluation.metrics import answer_metrics
from llara_core.evaluation.statistics import difference_with_interval, mean_with_interval, share_with_interval
from tests.evaluation.wilson import wilson


def _share(hits_of_users: list[list[int]]) -> tuple[float, float, float]:
    users = [user for user, hits in enumerate(hits_of_users) for _ in hits]
    return share_with_interval(np.array([hit for hits in hits_of_users for hit in hits], dtype=bool), np.array(users))


def test_one_draw_of_each_user_is_a_draw_of_its_own() -> None:
    expected = stats.binomtest(3, 7).proportion_ci(method="wilson")
    assert _share([[1], [0], [1], [0], [0], [1], [0]]) == pytest.approx((3 / 7, expected.low, expected.high))


def test_draws_that_agree_in_part_are_worth_part_of_their_number() -> None:
    # Without one user 2/6, 3/6, 3/6, 4/6 are left: variance 3/4 · 2 / 36 = 1/24, so 8 draws are worth .25 · 24 = 6.
    assert _share([[1, 1], [1, 0], [0, 1], [0, 0]]) == wilson(0.5, 6, 4)


def test_users_with_unequal_numbers_of_draws() -> None:
    # What is left without one user.
    without = np.array([3 / 7, 3 / 5, 2 / 6, 4 / 6])
    variance = 3 / 4 * ((without - 0.5) ** 2).sum()
    assert _share([[1], [1, 0, 0], [1, 1], [0, 0]]) == wilson(0.5, 0.25 / variance, 4)


def test_draws_are_worth_at_most_their_number() -> None:
    # Without one user 4/9 twice, 5/9 twice: variance 3/4 · 4 / 18² = 1/108, worth 27; there are 12 draws.
    assert _share([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]]) == wilson(0.5, 12, 4)
    # Without one user 2/6 twice, 4/6 twice: variance 3/4 · 4 / 36 = 1/12, worth 3, less than the users.
    assert _share([[1, 1], [1, 1], [0, 0], [0, 0]]) == wilson(0.5, 3, 4)
    # No difference at all: each draw counts.
    assert _share([[1, 0], [1, 0], [0, 1]]) == wilson(0.5, 6, 3)


@pytest.mark.parametrize(("mean", "concentration", "spread"), [(0.5, 5, 1.0), (0.1, 20, 1.0), (0.6, 8, 0.0)])
def test_intervals_cover_the_truth_in_95_percent_of_simulated_tests(
    mean: float, concentration: float, spread: float
) -> None:
    """95 users, whose shares differ, and their numbers of draws by a standard deviation `spread` of the logarithm."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(2000):
        sizes = np.maximum(1, np.exp(rng.normal(3, spread, 95)).round().astype(int))
        shares = rng.beta(mean * concentration, (1 - mean) * concentration, 95)
        users = np.repeat(np.arange(95), sizes)
        _, low, high = share_with_interval(rng.random(len(users)) < shares[users], users)
        covered += low <= mean <= high
    assert 0.93 <= covered / 2000 <= 0.97


def test_shares_of_0_and_1_are_worth_their_users() -> None:
    assert _share([[1, 1], [1, 1], [1, 1]]) == wilson(1, 3)
    assert _share([[0, 0], [0, 0]]) == wilson(0, 2)
    assert _share([[1], [1], [1] * 998])[1] < 0.25  # nearly all are of one user


def test_a_mean_over_users_with_unequal_numbers_of_draws() -> None:
    # Mean .5; without one user 1/3, 2/3, 1/2: variance 2/3 · 2/36 = 1/27; t.975 with 2 degrees of freedom = 4.302653
    mean, low, high = mean_with_interval(np.array([1.0, 0.0, 0.5, 0.5]), np.array([1, 2, 3, 3]))
    half = 4.302653 * 27**-0.5
    assert (mean, low, high) == pytest.approx((0.5, max(0.0, 0.5 - half), min(1.0, 0.5 + half)))
    # Closer together, so that neither end is cut: a tenth of that.
    mean, low, high = mean_with_interval(np.array([0.55, 0.45, 0.5, 0.5]), np.array([1, 2, 3, 3]))
    assert (mean, low, high) == pytest.approx((0.5, 0.5 - half / 10, 0.5 + half / 10), abs=1e-6)


def test_a_paired_difference_of_users_with_unequal_numbers_of_draws() -> None:
    # Differences 1, 1 | 0 | 0: mean .5; without one user 0, 2/3, 2/3: variance 2/3 · (1/4 + 2/36) = 11/54
    first, second = np.array([1.0, 0.9, 0.5, 0.25]), np.array([0.0, -0.1, 0.5, 0.25])
    half = 4.302653 * (11 / 54) ** 0.5
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
