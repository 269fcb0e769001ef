import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from llara_core.recommenders.ranking import (
    candidate_ranks,
    hit_ratio,
    ndcg,
    popularity_scores,
    ranks,
    without_history,
)


def test_ties_count_against_the_target() -> None:
    scores = np.array([[3.0, 1.0, 3.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    assert ranks(scores, np.array([0, 1, 2])).tolist() == [2, 3, 1]


def test_candidate_ranks_look_at_candidates_alone() -> None:
    scores = np.array([[-np.inf, 5.0, 4.0, 3.0, 2.0]])
    assert candidate_ranks(scores, np.array([[4, 3]]), np.array([1])).tolist() == [1]
    assert candidate_ranks(scores, np.array([[4, 1]]), np.array([0])).tolist() == [2]


def test_metrics_by_hand() -> None:
    rank = np.array([1, 3, 11])
    assert hit_ratio(rank, 10) == pytest.approx(2 / 3)
    assert ndcg(rank, 10) == pytest.approx((1 + 1 / 2 + 0) / 3)  # 1 / log2(1 + 3) = 1 / 2


@given(st.integers(0, 999), st.integers(2, 12), st.integers(1, 12))
def test_ndcg_is_that_of_scikit_learn(seed: int, n_items: int, k: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.permuted(np.tile(np.arange(n_items, dtype=float), (5, 1)), axis=1)
    targets = generator.integers(n_items, size=5)
    relevance = np.eye(n_items)[targets]
    assert ndcg(ranks(scores, targets), k) == pytest.approx(ndcg_score(relevance, scores, k=min(k, n_items)))


def test_popularity_never_names_padding() -> None:
    scores = popularity_scores(np.array([0, 5, 2]), 2)
    assert scores.shape == (2, 3)
    assert np.isneginf(scores[:, 0]).all()
    assert scores[1, 1:].tolist() == [5, 2]


def test_seen_items_are_out_but_a_target_consumed_again_is_in() -> None:
    scores = np.array([[0.0, 1.0, 2.0, 3.0]])
    masked = without_history(scores, [np.array([2, 3])], np.array([3]))
    assert masked.tolist() == [[0.0, 1.0, -np.inf, 3.0]]
    assert scores[0, 2] == 2.0
