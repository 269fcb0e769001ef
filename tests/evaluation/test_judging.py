import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llara_core.evaluation.metrics import answer_metrics
from llara_core.evaluation.recommenders import candidate_metrics
from llara_core.evaluation.statistics import mean_with_interval, share_with_interval
from tests.evaluation.wilson import wilson
from tests.factories import make_sequences, make_sets


@given(st.integers(0, 40), st.integers(0, 40))
def test_one_draw_a_user_gives_wilson_s_interval(hits: int, misses: int) -> None:
    n = hits + misses
    if n == 0:
        with pytest.raises(ValueError, match="must not be empty"):
            share_with_interval(np.array([], dtype=bool), np.array([]))
        return
    share, low, high = share_with_interval(np.arange(n) < hits, np.arange(n))
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (share, low, high) == pytest.approx((hits / n, expected.low, expected.high), abs=1e-9)


def test_draws_that_always_agree_are_worth_one() -> None:
    """Less one for the variance, which five users leave to be estimated: that of a share is known, p (1 − p)."""
    hits = np.array([True, False, False, True, False])
    for n_draws in (2, 20):
        repeated = share_with_interval(np.repeat(hits, n_draws), np.repeat(np.arange(5), n_draws))
        assert repeated == wilson(0.4, 4, n_users=5)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    users = np.repeat(np.arange(95), 20)
    covered = 0
    for _ in range(400):
        chances = generator.beta(0.8, 1.2, size=95)  # users differ much: mean .4
        _, low, high = share_with_interval(generator.random(1900) < np.repeat(chances, 20), users)
        covered += low <= 0.4 <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_metrics_by_hand() -> None:
    metrics = answer_metrics(
        np.array([True, True, False, False]), np.array([True, False, True, True]), np.array([1, 2, 3, 4])
    )
    assert metrics["hit_ratio_at_1"] == 0.25  # a correct answer that isn't valid is a miss
    assert metrics["valid_ratio"] == 0.75
    assert metrics["n_examples"] == 4


def test_a_mean_of_one_value_a_user_has_student_s_interval() -> None:
    values = np.array([0.2, 0.5, 0.9, 0.4])
    mean, low, high = mean_with_interval(values, np.arange(4))
    expected = stats.t.interval(0.95, 3, loc=0.5, scale=stats.sem(values))
    assert (mean, low, high) == pytest.approx((0.5, *expected))
    repeated = mean_with_interval(np.repeat(values, 7), np.repeat(np.arange(4), 7))
    assert repeated == pytest.approx((mean, low, high))  # draws that agree add nothing


def test_a_mean_s_interval_stays_within_0_and_1() -> None:
    assert mean_with_interval(np.array([0.3, 0.4]), np.array([1, 1])) == (pytest.approx(0.35), 0.0, 1.0)
    assert mean_with_interval(np.array([0.0, 1.0]), np.array([1, 2])) == (0.5, 0.0, 1.0)


def test_a_recommender_is_judged_on_the_candidates() -> None:
    sets = make_sets(
        example_ids=[0, 0, 1],
        draws=[0, 1, 0],
        user_ids=[1, 1, 2],
        positions=[2, 2, 2],
        targets=[2, 2, 1],
        candidates=[[2, 3], [1, 2], [1, 3]],
    )
    sequences = make_sequences([[1, 3, 2], [3, 2, 1]], ["test", "test"])
    table = np.array([[-np.inf] * 4, [-np.inf, 0, 0, 0], [-np.inf, 2.0, 5.0, 2.0], [-np.inf, 9.0, 5.0, 1.0]])
    metrics = candidate_metrics(lambda shown: torch.from_numpy(table[shown[:, -1]].copy()), sequences, sets, 10)
    assert metrics["hit_ratio_at_1"] == pytest.approx(1 / 3)  # after 3: 5 > 1, 5 < 9; after 2: the tie 2 = 2 is a miss
    assert metrics["ndcg_at_10"] == pytest.approx((1 + 2 / np.log2(3)) / 3)
    assert metrics["ndcg_at_10_low"] <= metrics["ndcg_at_10"] <= metrics["ndcg_at_10_high"]
    assert metrics["n_users"] == 2
