from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llara_core.errors import DataError
from llara_core.params.sections import AllPositions, Candidates, Draws
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.sequences.negatives import draw_candidates, items_never_negative
from llara_core.sequences.random_words import random_integers, random_permutation, random_words
from llara_core.sequences.windows import Examples
from llara_core.tables.candidates import CandidateSets, Scope
from llara_core.tables.sequences import Sequences
from tests.factories import make_sequences

NO_OTHERS = AllPositions(limit=1, draws=0)


def _keys(n: int) -> tuple[np.ndarray, ...]:
    return np.full(n, 2), np.arange(n), np.zeros(n, dtype=int)


@given(
    st.integers(0, 2**32),
    st.lists(st.lists(st.integers(1, 12), max_size=12), min_size=1, max_size=6),
    st.integers(2, 6),
)
def test_rows_hold_the_target_once_and_only_allowed_distinct_items(
    seed: int, excluded: list[list[int]], size: int
) -> None:
    goals = np.array([items[0] if items else 1 for items in excluded])
    banned = [np.array(items, dtype=int) for items in excluded]
    enough = all(12 - len({*items, goal}) >= size - 1 for items, goal in zip(excluded, goals, strict=True))
    if not enough:
        with pytest.raises(DataError, match="candidates.size must leave"):
            draw_candidates(seed, _keys(len(goals)), goals, banned, 12, size)
        return
    rows = draw_candidates(seed, _keys(len(goals)), goals, banned, 12, size)
    for row, goal, items in zip(rows.tolist(), goals, excluded, strict=True):
        assert len(set(row)) == size
        assert row.count(goal) == 1
        assert not set(row) & (set(items) - {goal})
        assert all(1 <= item <= 12 for item in row)


def test_a_row_depends_on_its_own_key_alone() -> None:
    goals, banned = np.array([1, 2, 3]), [np.array([4]), np.array([5]), np.array([6])]
    together = draw_candidates(7, _keys(3), goals, banned, 50, 5)
    keys = tuple(key[2:] for key in _keys(3))
    assert draw_candidates(7, keys, goals[2:], banned[2:], 50, 5).tolist() == together[2:].tolist()
    assert draw_candidates(8, _keys(3), goals, banned, 50, 5).tolist() != together.tolist()


def test_places_and_negatives_are_uniform() -> None:
    n = 4000
    rows = draw_candidates(0, _keys(n), np.full(n, 1), [np.array([2])] * n, 21, 5)
    places = Counter(np.argmax(rows == 1, axis=1).tolist())
    assert stats.chisquare([places[i] for i in range(5)]).pvalue > 0.001
    negatives = Counter(rows[rows != 1].tolist())
    assert set(negatives) == set(range(3, 22))
    assert stats.chisquare(list(negatives.values())).pvalue > 0.001


def test_rules_for_negatives() -> None:
    sequences = make_sequences([[1, 2, 3, 4, 5, 6]], ["test"])
    examples = Examples(np.array([0]), np.array([4]))
    assert items_never_negative(sequences, examples, "test", "outside_history", 2)[0].tolist() == [1, 2, 3, 4, 5, 6]
    assert items_never_negative(sequences, examples, "test", "outside_recent", 2)[0].tolist() == [3, 4]


def test_what_is_held_out_may_be_a_negative_of_training() -> None:
    sequences = replace(
        make_sequences([[1, 2, 3, 4, 5, 6]], ["train"]), train_end=np.array([4]), validation_end=np.array([5])
    )
    for split, position, expected in (("train", 2, [1, 2, 3, 4]), ("validation", 4, [1, 2, 3, 4, 5])):
        examples = Examples(np.array([0]), np.array([position]))
        assert items_never_negative(sequences, examples, split, "outside_history", 2)[0].tolist() == expected


def _many_sets(n_users: int, n_draws: int) -> tuple[Sequences, CandidateSets]:
    """Users whose targets are drawn like negatives, so that nothing but the list itself could tell them apart."""
    generator = np.random.default_rng(1)
    lists = [generator.choice(np.arange(1, 101), size=4, replace=False).tolist() for _ in range(n_users)]
    sequences = make_sequences(lists, ["validation"] * 10 + ["test"] * (n_users - 10))
    params = Candidates(
        seed=0,
        size=20,
        negatives="outside_history",
        draws=Draws(validation=1, test=n_draws),
        all_positions=AllPositions(limit=1000, draws=n_draws),
    )
    return sequences, build_candidate_sets(sequences, 100, params, 10, 3)


@pytest.mark.parametrize("scope", ["last", "all"])
def test_the_list_does_not_give_the_target_away(scope: Scope) -> None:
    """Lookups that never see the history, learnt on half of the users, score at chance on the other half.

    Targets are as popular as negatives here, so that only the way the lists are drawn could help. The last lookup is
    the one that wins where the draw is seeded by the target: the same target would always bring the same companions.
    """
    _, sets = _many_sets(610, 5)
    test = sets.of("test", scope)
    assert len(test) == 600 * 5
    learn, judge = test.select(test.user_ids % 2 == 0), test.select(test.user_ids % 2 == 1)
    best_place = Counter(learn.target_indices.tolist()).most_common(1)[0][0]
    frequency = Counter(learn.targets.tolist())
    companions: dict[int, Counter[int]] = {}
    for row, goal in zip(learn.candidates.tolist(), learn.targets.tolist(), strict=True):
        companions.setdefault(goal, Counter()).update(item for item in row if item != goal)

    def likeness(row: list[int], goal: int) -> float:
        known = companions.get(goal, Counter())
        return sum(known[item] for item in row) / (1 + known.total())

    rows = judge.candidates.tolist()
    lookups = {
        "place": [row[best_place] for row in rows],
        "smallest id": [min(row) for row in rows],
        "frequency as a target": [max(row, key=lambda item: frequency[item]) for row in rows],
        "companions": [max(row, key=lambda goal: likeness(row, goal)) for row in rows],
    }
    for name, guesses in lookups.items():
        hits = (np.array(guesses) == judge.targets).reshape(-1, 5).mean(axis=1)
        chance = stats.ttest_1samp(hits, 1 / 20)  # users are independent, their draws are not
        assert chance.pvalue > 0.001, f"{name}: {hits.mean():.3f}"


def test_sets_of_one_example_differ_in_negatives_but_share_the_target() -> None:
    _, sets = _many_sets(30, 4)
    test = sets.of("test")
    assert len(test) == 20 * 4
    first = test.select(test.example_ids == test.example_ids[0])
    assert first.draws.tolist() == [0, 1, 2, 3]
    assert len(set(first.targets.tolist())) == 1
    assert len({tuple(sorted(row)) for row in first.candidates.tolist()}) == 4
    assert len(np.unique(sets.example_ids)) == 2 * 30


def test_random_words_are_a_function_of_their_coordinates() -> None:
    grid = random_words(3, np.arange(4)[:, None], np.arange(5)[None, :])
    assert grid.shape == (4, 5)
    assert random_words(3, 2, 4) == grid[2, 4]
    assert len(np.unique(grid)) == 20
    assert random_words(3, 1, 2) != random_words(3, 2, 1)


@given(st.integers(0, 2**63), st.integers(0, 100), st.integers(1, 50))
def test_permutations_permute(seed: int, stream: int, n: int) -> None:
    assert sorted(random_permutation(seed, stream, n).tolist()) == list(range(n))


def test_random_integers_cover_their_range() -> None:
    numbers = random_integers(random_words(0, np.arange(1000)), 7)
    assert set(numbers.tolist()) == set(range(7))


def test_a_split_without_anybody_to_ask_is_refused() -> None:
    sequences = make_sequences([[1, 2, 3], [1], [2, 3]], ["train", "validation", "test"])
    params = Candidates(
        seed=0, size=3, negatives="outside_history", draws=Draws(validation=1, test=1), all_positions=NO_OTHERS
    )
    with pytest.raises(
        DataError, match=r"split.validation must hold a user with an item before the last one, got none"
    ):
        build_candidate_sets(sequences, 30, params, 10, 3)


def _all_sets(limit: int, draws: int = 2, seed: int = 0) -> CandidateSets:
    sequences = make_sequences(
        [[1, 2], [5, 6, 7, 8], [9, 8, 7, 6, 5], [3, 4, 1, 2, 9, 8]], ["train"] + ["validation"] * 2 + ["test"]
    )
    params = Candidates(
        seed=seed,
        size=4,
        negatives="outside_history",
        draws=Draws(validation=1, test=1),
        all_positions=AllPositions(limit=limit, draws=draws),
    )
    return build_candidate_sets(sequences, 40, params, 10, 2)


def test_all_positions_with_enough_history_have_lists() -> None:
    sets = _all_sets(limit=100)
    for split, expected in (
        ("validation", [(2, 2, 7), (2, 3, 8), (3, 2, 7), (3, 3, 6), (3, 4, 5)]),
        ("test", [(4, 2, 1), (4, 3, 2), (4, 4, 9), (4, 5, 8)]),
    ):
        found = sets.of(split, "all")
        asked = zip(found.user_ids.tolist(), found.positions.tolist(), found.targets.tolist(), strict=True)
        assert list(asked) == [example for example in expected for _ in range(2)]
        assert found.draws.tolist() == [0, 1] * len(expected)
        assert len(np.unique(found.example_ids)) == len(expected)
        had = {2: {5, 6, 7, 8}, 3: {5, 6, 7, 8, 9}, 4: {1, 2, 3, 4, 8, 9}}
        for user, target, row in zip(found.user_ids, found.targets, found.candidates.tolist(), strict=True):
            assert not set(row) & (had[user] - {target})
    assert len(sets.of("validation")) == 2
    assert not set(sets.of("test").example_ids) & set(sets.of("test", "all").example_ids)


def test_a_smaller_sample_of_positions_has_the_same_lists() -> None:
    whole, part = (_all_sets(limit).of("test", "all") for limit in (100, 2))
    assert len(part) == 2 * 2
    rows = {
        (place, draw): row
        for place, draw, row in zip(whole.positions, whole.draws, whole.candidates.tolist(), strict=True)
    }
    for place, draw, row in zip(part.positions, part.draws, part.candidates.tolist(), strict=True):
        assert rows[place, draw] == row
    samples = {tuple(_all_sets(2, seed=seed).of("test", "all").positions.tolist()) for seed in range(12)}
    assert len(samples) > 3  # of six possible ones
    assert len(_all_sets(100, draws=0).of("test", "all")) == 0
    assert len(_all_sets(100, draws=0).of("test")) == 1


def test_lists_of_last_positions_do_not_depend_on_the_others() -> None:
    one, other = (_all_sets(100, draws) for draws in (0, 3))
    for split in ("validation", "test"):
        assert one.of(split).candidates.tolist() == other.of(split).candidates.tolist()
    last = other.of("test", "all").positions == 5
    assert other.of("test").candidates.tolist()[0] not in other.of("test", "all").candidates[last].tolist()
