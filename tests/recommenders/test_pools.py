import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llara_core.errors import DataError, ModelError
from llara_core.recommenders import ranking
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.pools import best_others
from llara_core.recommenders.ranking import RankingTask, Scorer, neural_scorer
from tests.recommenders.recipes import OPTIONS, tiny


def _scorer(table: np.ndarray) -> Scorer:
    """Scores by the latest item, and padding's as recommenders have it."""
    table = table.copy()
    table[:, 0] = -np.inf
    return lambda histories: torch.from_numpy(table[histories[:, -1]].copy())


def test_the_best_others_by_hand() -> None:
    """Equal scores by the smaller id, also where the pool ends among them; the target counts what ties with it."""
    table = np.array([[0.0] * 8, [9, 3, 5, 2, 5, 2, 5, 2], [9, 1, 2, 3, 4, 5, 6, 7]])
    seen = [np.array([4, 5]), np.array([1, 2, 6])]
    task = RankingTask(np.array([[0, 1], [1, 2]]), np.array([5, 7]), seen.__getitem__)
    found = best_others(_scorer(table), task, 7, 4)
    assert found.items.tolist() == [[2, 6, 1, 3], [5, 4, 3, 0]]
    assert found.n_before.tolist() == [5, 0]
    unseen = RankingTask(task.histories, task.targets, None)
    assert best_others(_scorer(table), unseen, 7, 3).items.tolist() == [[2, 4, 6], [6, 5, 4]]


@given(st.integers(0, 9999), st.integers(1, 9), st.integers(1, 40))
@settings(deadline=None)
def test_pools_are_those_of_sorting_one_by_one(seed: int, size: int, at_once: int) -> None:
    rng = np.random.default_rng(seed)
    n, examples = 7, 5
    table = rng.integers(-1, 3, size=(n + 1, n + 1)) * rng.choice([0.0, -0.0, 1.0], size=(n + 1, n + 1))  # many ties
    histories = rng.integers(1, n + 1, size=(examples, 2))
    targets = rng.integers(1, n + 1, size=examples)
    seen = [rng.integers(1, n + 1, size=3) for _ in range(examples)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_SCORES_AT_ONCE", at_once)
        found = best_others(_scorer(table), RankingTask(histories, targets, seen.__getitem__), n, size)
    for i in range(examples):
        scores = table[histories[i, -1]]
        rivals = [j for j in range(1, n + 1) if j != targets[i] and j not in seen[i]]
        best = sorted(rivals, key=lambda j: (-scores[j], j))[:size]
        assert found.items[i].tolist() == best + [0] * (min(size, n) - len(best))
        assert found.n_before[i] == sum(scores[j] >= scores[targets[i]] for j in rivals)


def test_the_last_bits_of_float64_decide_nothing() -> None:
    """As kernels for other batch sizes would have them: items 1 to 4 are equal, and 5 is better in float32 too."""
    table = np.ones((2, 6)) * 0.7
    table[1, 5] = 0.7001
    task = RankingTask(np.array([[1]]), np.array([4]), None)
    expected = best_others(_scorer(table), task, 5, 3)
    assert expected.items.tolist() == [[5, 1, 2]]
    for noise in ([0, 1, 2, 3, 4, 5], [0, 5, -2, 3, -1, -4]):
        noisy = table.copy()
        noisy[1] += np.array(noise) * 1e-12
        found = best_others(_scorer(noisy), task, 5, 3)
        assert found.items.tolist() == expected.items.tolist()
        assert found.n_before.tolist() == expected.n_before.tolist() == [4]


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_history_has_the_same_pool_in_every_batch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    n, rng = 300, np.random.default_rng(0)
    model = build_recommender(tiny(kind), n, history_length=8).double()
    histories = rng.integers(1, n + 1, size=(40, 6)) * (rng.random((40, 6)) > np.array([0.7, 0.5, 0.3, 0.1, 0, 0]))
    targets = rng.integers(1, n + 1, size=40)
    score = neural_scorer(model)
    assert score(histories[:2]).dtype == torch.float64
    whole = best_others(score, RankingTask(histories, targets, None), n, 60)
    monkeypatch.setattr(ranking, "_SCORES_AT_ONCE", 7 * (n + 1))
    parts = best_others(score, RankingTask(histories, targets, None), n, 60)
    alone = [
        best_others(score, RankingTask(histories[i : i + 1], targets[i : i + 1], None), n, 60).items[0].tolist()
        for i in range(40)
    ]
    assert whole.items.tolist() == parts.items.tolist() == alone
    assert whole.n_before.tolist() == parts.n_before.tolist()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_scores_that_are_no_numbers_are_refused(broken: float) -> None:
    table = np.ones((2, 4))
    task = RankingTask(np.array([[1]]), np.array([2]), None)
    assert best_others(_scorer(table), task, 3, 2).items.tolist() == [[1, 3]]
    table[1, 3] = broken
    with pytest.raises(ModelError, match=f"the recommender's scores must be finite numbers, got {broken}"):
        best_others(_scorer(table), task, 3, 2)


def test_a_history_must_not_be_empty() -> None:
    with pytest.raises(DataError, match="a history must have at least one item, got an empty one"):
        best_others(_scorer(np.ones((2, 4))), RankingTask(np.array([[0]]), np.array([1]), None), 3, 2)
