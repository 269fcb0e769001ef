import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from llara_core.errors import DataError
from llara_core.recommenders import ranking
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.rank_metrics import gains, hit_ratio, ndcg
from llara_core.recommenders.ranking import (
    Ranking,
    RankingTask,
    Scorer,
    neural_scorer,
    rank_catalogue,
    ranking_report,
    score_and_rank,
    score_candidates,
)
from llara_core.tables.candidates import target_ranks
from tests.recommenders.recipes import tiny


def table_scorer(table: np.ndarray) -> Scorer:
    """Return the table's row of the latest item."""
    return lambda histories: torch.from_numpy(table[histories[:, -1]].copy())


def test_ties_count_against_the_target() -> None:
    scores = np.array([[3.0, 1.0, 3.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    assert target_ranks(scores, np.array([0, 1, 2])).tolist() == [2, 3, 1]


def test_a_catalogue_of_equal_scores_ranks_the_target_last() -> None:
    table = np.zeros((4, 5))
    table[:, 0] = -np.inf
    task = RankingTask(np.array([[1], [2]]), np.array([3, 4]), seen=None)
    assert rank_catalogue(table_scorer(table), task, 4).ranks.tolist() == [4, 4]
    sets = np.array([[3, 1, 2]])
    scores = score_candidates(table_scorer(table), np.array([[1]]), np.array([0]), sets)
    assert target_ranks(scores, np.array([0])).tolist() == [3]


def test_scores_that_are_no_numbers_are_no_hits() -> None:
    table = np.full((3, 4), np.nan)
    task = RankingTask(np.array([[1]]), np.array([3]), seen=None)
    assert rank_catalogue(table_scorer(table), task, 3).ranks.tolist() > [2]
    assert target_ranks(np.array([[np.nan, 1.0, 2.0]]), np.array([0])).tolist() == [3]
    assert target_ranks(np.array([[np.nan, 1.0, 2.0]]), np.array([2])).tolist() == [2]


@given(st.integers(0, 9999), st.booleans(), st.integers(1, 40))
@settings(deadline=None)
def test_ranks_are_those_of_sorting_one_by_one(seed: int, excluded: bool, at_once: int) -> None:
    rng = np.random.default_rng(seed)
    n, examples = 7, 5
    table = rng.integers(0, 4, size=(n + 1, n + 1)).astype(float)  # many ties
    table[:, 0] = -np.inf
    histories = np.concatenate([np.zeros((examples, 1), dtype=int), rng.integers(1, n + 1, size=(examples, 2))], axis=1)
    targets = rng.integers(1, n + 1, size=examples)
    seen = [rng.integers(1, n + 1, size=3) for _ in range(examples)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_SCORES_AT_ONCE", at_once)
        task = RankingTask(histories, targets, seen.__getitem__ if excluded else None)
        found = rank_catalogue(table_scorer(table), task, n)
        sets = rng.permuted(np.tile(np.arange(1, n + 1), (9, 1)), axis=1)[:, :3]
        owners = rng.integers(examples, size=9)
        scores, together = score_and_rank(table_scorer(table), task, owners, sets, n)
    assert scores.tolist() == [[table[histories[i, -1], j] for j in row] for i, row in zip(owners, sets, strict=True)]
    for name in ("ranks", "top"):
        assert getattr(together, name).tolist() == getattr(found, name).tolist()
    for i in range(examples):
        rivals = [j for j in range(1, n + 1) if not (excluded and j in seen[i] and j != targets[i])]
        scores = table[histories[i, -1]]
        worse_than = sum(scores[j] >= scores[targets[i]] for j in rivals if j != targets[i])
        assert found.ranks[i] == 1 + worse_than
        first = [item for item in found.top[i].tolist() if item]
        assert sorted(first) == rivals  # fewer than ten, so all of them are recommended
        assert [scores[item] for item in first] == sorted((scores[item] for item in first), reverse=True)


def test_candidates_are_ranked_among_themselves_for_their_own_history() -> None:
    table = np.array([[0, 0, 0, 0, 0], [-np.inf, 5, 4, 3, 2], [-np.inf, 1, 2, 3, 4]], dtype=float)
    scores = score_candidates(
        table_scorer(table),
        histories=np.array([[0, 1], [1, 2]]),
        example=np.array([1, 0, 1]),
        candidates=np.array([[4, 3], [4, 3], [1, 4]]),
    )
    assert scores.tolist() == [[4, 3], [2, 3], [1, 4]]
    assert target_ranks(scores, np.array([1, 1, 1])).tolist() == [2, 1, 1]


def test_metrics_by_hand() -> None:
    rank = np.array([1, 3, 11])
    assert hit_ratio(rank, 10) == pytest.approx(2 / 3)
    assert ndcg(rank, 10) == pytest.approx((1 + 1 / 2 + 0) / 3)  # 1 / log2(1 + 3) = 1 / 2
    report = ranking_report(Ranking(rank, np.array([[1, 2], [2, 1], [2, 0]])), n_items=4)
    assert report == pytest.approx(
        {
            "hit_ratio_at_1": 1 / 3,
            "hit_ratio_at_5": 2 / 3,
            "hit_ratio_at_10": 2 / 3,
            "hit_ratio_at_20": 1.0,
            "ndcg_at_5": 0.5,
            "ndcg_at_10": 0.5,
            "ndcg_at_20": (1.5 + 1 / math.log2(12)) / 3,
            "mrr": (1 + 1 / 3 + 1 / 11) / 3,
            "coverage_at_10": 0.5,
            "n_examples": 3,
        }
    )


@given(st.integers(0, 999), st.integers(2, 12), st.integers(1, 12))
def test_ndcg_is_that_of_scikit_learn(seed: int, n_items: int, k: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.permuted(np.tile(np.arange(n_items, dtype=float), (5, 1)), axis=1)
    targets = generator.integers(n_items, size=5)
    relevance = np.eye(n_items)[targets]
    found = gains(target_ranks(scores, targets), k).mean()
    assert found == pytest.approx(ndcg_score(relevance, scores, k=min(k, n_items)))


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([0, 0], "a history must have at least one item, got an empty one"),
        ([1, 10], r"item ids must lie in the item table 1..9, got 1..10"),
        ([-1, 2], r"item ids must lie in the item table 1..9, got -1..2"),
    ],
)
def test_histories_that_cannot_be_scored_are_refused(history: list[int], message: str) -> None:
    score = neural_scorer(build_recommender(tiny("gru4rec"), 9, history_length=8))
    with pytest.raises(DataError, match=message):
        rank_catalogue(score, RankingTask(np.array([history]), np.array([1]), None), 9)
