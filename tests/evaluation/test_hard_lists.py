import math

import numpy as np
import pyarrow as pa
import pytest
import torch

from llara_core.errors import DataError
from llara_core.evaluation.hard_lists import draw_hard_lists
from llara_core.evaluation.recommenders import list_scores
from llara_core.params.params import Params
from llara_core.recommenders import ranking
from llara_core.recommenders.ranking import RankingTask, Scorer, rank_catalogue
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.sequences.windows import histories, items_before, of_candidate_sets
from llara_core.tables.candidates import CandidateSets, Scope
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed
from llara_core.tables.sequences import Sequences
from tests.factories import make_sequences, make_sets
from tests.lookups import best_by, history_free_guesses, require_chance


def _scorer(table: np.ndarray) -> Scorer:
    """Scores by the latest item."""
    table = table.copy()
    table[:, 0] = -np.inf
    return lambda shown: torch.from_numpy(table[shown[:, -1]].copy())


def _tables(sequences: Sequences, sets: CandidateSets, n_items: int) -> Processed:
    names = pa.array([f"item {number}" for number in range(n_items)])
    return Processed(Items(names, names, sequences.count_training(n_items)), sequences, sets)


def _drawn(
    params: Params, sequences: Sequences, n_items: int, size: int, limit: int = 1000, draws: int = 2
) -> Processed:
    positions = params.candidates.all_positions.model_copy(update={"limit": limit, "draws": draws})
    counts = params.candidates.draws.model_copy(update={"validation": draws, "test": draws})
    changes = {"size": size, "negatives": "hard", "draws": counts, "all_positions": positions}
    how = params.candidates.model_copy(update=changes)
    return _tables(sequences, build_candidate_sets(sequences, n_items, how, 10, 2), n_items)


def test_the_negatives_are_the_recommender_s_favourites_outside_the_history() -> None:
    """After 3 comes 9 or 8, then 7, then 6 to 1 as they fall; the first user had 9 later on, and all had 3."""
    sequences = make_sequences([[2, 3, 4, 9], [3, 5, 3, 1]], ["validation", "test"])
    shared = {"example_ids": [0, 0], "draws": [0, 1], "user_ids": [1, 1], "positions": [2, 2], "targets": [4, 4]}
    first = make_sets(**shared, candidates=[[4, 1, 5], [1, 5, 4]], split="validation", scope="all")
    second = make_sets(example_ids=[1], draws=[0], user_ids=[2], positions=[3], targets=[1], candidates=[[2, 1, 4]])
    stored = CandidateSets.concatenate([first, second])
    table = np.tile(np.arange(10.0), (10, 1))
    table[3, 8] = 9.0
    found = draw_hard_lists(_scorer(table), _tables(sequences, stored, 9), seed=0, pool=2, history_length=10)
    assert found.sets.target_indices.tolist() == stored.target_indices.tolist() == [0, 2, 1]
    assert [sorted(row) for row in found.sets.candidates.tolist()] == [[4, 7, 8], [4, 7, 8], [1, 8, 9]]
    assert found.pool_sizes.tolist() == [2, 2, 2]
    assert found.targets_in_pool.tolist() == [False, False, False]
    wide = draw_hard_lists(_scorer(table), _tables(sequences, stored, 9), seed=0, pool=6, history_length=10)
    # The first user's others are 8, 7, 6, 5 and 1, and his target scores more than 1. The second's are six that all do.
    assert wide.pool_sizes.tolist() == [5, 5, 6]
    assert wide.targets_in_pool.tolist() == [True, True, False]
    assert set(wide.sets.candidates[0].tolist()) <= {4, 8, 7, 6, 5, 1}


def test_the_recommender_is_shown_the_latest_items_before_the_target() -> None:
    shown = []

    def score(histories: np.ndarray) -> torch.Tensor:
        shown.append(histories.tolist())
        return _scorer(np.ones((10, 10)))(histories)

    sequences = make_sequences([[1, 2], [2, 3, 4, 9, 5]], ["train", "test"])
    sets = make_sets(example_ids=[7], draws=[0], user_ids=[2], positions=[3], targets=[9], candidates=[[9, 1]])
    draw_hard_lists(score, _tables(sequences, sets, 9), seed=0, pool=3, history_length=2)
    assert shown == [[[3, 4]]]


@pytest.fixture
def many() -> Sequences:
    generator = np.random.default_rng(0)
    lists = [generator.choice(np.arange(1, 101), size=6, replace=False).tolist() for _ in range(30)]
    return make_sequences(lists, ["train"] * 10 + ["validation"] * 10 + ["test"] * 10)


TASTE = np.random.default_rng(1).normal(size=(101, 101))


def test_all_but_the_negatives_stays(params: Params, many: Sequences) -> None:
    tables = _drawn(params, many, 100, size=8)
    hard = draw_hard_lists(_scorer(TASTE), tables, seed=0, pool=20, history_length=10).sets
    for name in ("example_ids", "draws", "user_ids", "splits", "scopes", "positions", "targets", "target_indices"):
        assert getattr(hard, name).tolist() == getattr(tables.sets, name).tolist()
    assert hard.candidates.dtype == np.int32
    assert all(len(set(row)) == 8 for row in hard.candidates.tolist())
    assert len(set(map(tuple, hard.candidates.tolist()))) > 0.9 * len(hard)
    other = draw_hard_lists(_scorer(TASTE), tables, seed=1, pool=20, history_length=10).sets
    assert (other.candidates != hard.candidates).any(axis=1).mean() > 0.9
    last, everywhere = (hard.of("test", scope) for scope in ("last", "all"))
    same = everywhere.select(everywhere.positions == 5)  # of the same positions, with draws of their own
    assert same.targets.tolist() == last.targets.tolist()
    assert (np.sort(same.candidates) != np.sort(last.candidates)).any(axis=1).mean() > 0.9


def test_a_list_is_the_same_among_any_others_and_in_any_batch(
    params: Params, many: Sequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, part = (_drawn(params, many, 100, 8, limit, draws) for limit, draws in ((1000, 3), (9, 2)))
    rows = {}
    for tables, at_once in ((whole, 1 << 24), (part, 3 * 101)):
        monkeypatch.setattr(ranking, "_SCORES_AT_ONCE", at_once)
        sets = draw_hard_lists(_scorer(TASTE), tables, seed=0, pool=20, history_length=10).sets
        columns = (sets.splits, sets.scopes, sets.user_ids, sets.positions, sets.draws)
        rows[at_once] = {
            key: sorted(set(row) - {goal})
            for *key, row, goal in zip(*columns, sets.candidates.tolist(), sets.targets, strict=True)
            for key in [tuple(key)]
        }
    large, small = rows.values()
    assert len(small) == 2 * (10 + 9) * 2
    assert {key: large[key] for key in small} == small


@pytest.mark.parametrize("scope", ["last", "all"])
def test_the_draw_itself_gives_nothing_away(params: Params, scope: Scope) -> None:
    """Targets come from the recommender's favourites as negatives do: nobody can tell them, nor can the recommender."""
    generator = np.random.default_rng(3)
    taste = generator.normal(size=(101, 101)) + np.linspace(0, 2, 101)  # some items are liked by most
    users = []
    for _ in range(610):
        items = generator.choice(np.arange(1, 101), size=3, replace=False).tolist()
        liked = [item for item in np.argsort(-taste[items[-1]]).tolist() if item not in {0, *items}][:31]
        users.append([*items, liked[generator.integers(31)]])
    sequences = make_sequences([[1, 2], *users], ["train"] + ["validation"] * 10 + ["test"] * 600)
    tables = _drawn(params, sequences, 100, size=20, limit=5000, draws=5)
    lists = draw_hard_lists(_scorer(taste), tables, seed=0, pool=30, history_length=10)
    test = lists.sets.of("test", scope)
    test = test.select(test.positions == 3)
    assert len(test) == 600 * 5
    learn, judge = test.select(test.user_ids % 2 == 0), test.select(test.user_ids % 2 == 1)
    liked = list_scores(_scorer(taste), sequences, judge, 10)
    places = {"the recommender": liked.argmax(axis=1), "its opposite": liked.argmin(axis=1)}
    guesses = {name: judge.candidates[np.arange(len(judge)), place].tolist() for name, place in places.items()}
    guesses |= {"liked by most": best_by(taste.mean(axis=0), judge), "by few": best_by(-taste.mean(axis=0), judge)}
    require_chance(history_free_guesses(learn, judge) | guesses, judge, 5)


def test_a_pool_no_larger_than_a_list_asks_for_the_first_of_the_catalogue(params: Params, many: Sequences) -> None:
    """HitRatio@1 of the recommender that drew it is then its HitRatio@1 among all items outside the history."""
    tables = _drawn(params, many, 100, size=8)
    liking = TASTE.copy()
    for user in range(0, 30, 3):  # let some targets come first
        liking[many.items_of(user)[4], many.items_of(user)[5]] = 9.0
    hard = draw_hard_lists(_scorer(liking), tables, seed=0, pool=7, history_length=10).sets.of("test")
    hits = hard.ranks(list_scores(_scorer(liking), many, hard, 10)) == 1
    examples = of_candidate_sets(many, hard)
    task = RankingTask(histories(many, examples, 10), hard.targets, items_before(many, examples))
    first = rank_catalogue(_scorer(liking), task, 100).ranks == 1
    assert hits.tolist() == first.tolist()
    assert 0 < hits.mean() < 1


def test_the_recommender_s_own_hits_follow_from_where_it_ranks_targets(params: Params) -> None:
    """With r items before the target, of a pool of K, all of c drawn ones are behind in C(K − r, c) / C(K, c)."""
    users = [[1, 2, 4 + r] for r in range(4)]
    sequences = make_sequences([[1, 2, 3], *users], ["validation"] + ["test"] * 4)
    falling = -np.tile(np.arange(31.0), (31, 1))  # after 2 come 3, 4, 5, …
    tables = _drawn(params, sequences, 30, size=4, draws=4000)
    hard = draw_hard_lists(_scorer(falling), tables, seed=0, pool=10, history_length=10).sets.of("test")
    hits = (hard.ranks(list_scores(_scorer(falling), sequences, hard, 10)) == 1).reshape(4, 4000).mean(axis=1)
    expected = [math.comb(10 - before, 3) / math.comb(10, 3) for before in (1, 2, 3, 4)]
    assert hits.tolist() == pytest.approx(expected, abs=0.03)


def test_users_who_had_nearly_everything_have_smaller_pools_or_are_refused() -> None:
    sequences = make_sequences([[1, 2, 3, 4]], ["test"])
    shared = {"example_ids": [0], "draws": [0], "user_ids": [1], "positions": [3], "targets": [4]}
    tables = _tables(sequences, make_sets(**shared, candidates=[[4, 5, 6]]), 7)
    found = draw_hard_lists(_scorer(np.ones((8, 8))), tables, seed=0, pool=100, history_length=10)
    assert found.pool_sizes.tolist() == [3]
    assert set(found.sets.candidates[0].tolist()) < {4, 5, 6, 7}
    tables = _tables(sequences, make_sets(**shared, candidates=[[4, 5, 6, 7, 1]]), 7)
    with pytest.raises(DataError, match="candidates.size must leave 4 negatives for every user, got 3 of 7 items"):
        draw_hard_lists(_scorer(np.ones((8, 8))), tables, seed=0, pool=100, history_length=10)
