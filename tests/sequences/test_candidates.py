from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llara_core.errors import DataError
from llara_core.params.sections import AllPositions, Candidates, Draws, Hard, Popularity
from llara_core.sequences import negatives
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.sequences.negatives import draw_candidates, draw_from_pools, items_never_negative, negative_weights
from llara_core.sequences.proposals import PROPOSED, Alike, ByWeight
from llara_core.sequences.random_words import random_integers, random_permutation, random_words
from llara_core.sequences.windows import Examples
from llara_core.tables.candidates import CandidateSets, Scope
from llara_core.tables.sequences import Sequences
from tests.factories import make_sequences
from tests.lookups import best_by, history_free_guesses, hits_by_user, require_chance

NO_OTHERS = AllPositions(limit=1, draws=0)


def _params(rule: str = "outside_history", **changes: object) -> Candidates:
    fields = {
        "seed": 0,
        "size": 4,
        "negatives": rule,
        "popularity": Popularity(smoothing=1.0),
        "hard": Hard(pool=30),
        "draws": Draws(validation=1, test=1),
        "all_positions": NO_OTHERS,
    }
    return Candidates.model_validate(fields | changes)


def _keys(n: int) -> tuple[np.ndarray, ...]:
    return np.full(n, 2), np.arange(n), np.zeros(n, dtype=int)


@given(
    st.integers(0, 2**32),
    st.lists(st.lists(st.integers(1, 12), max_size=12), min_size=1, max_size=6),
    st.integers(2, 6),
    st.none() | st.lists(st.floats(1e-6, 1e6), min_size=12, max_size=12).map(np.array),
)
def test_rows_hold_the_target_once_and_only_allowed_distinct_items(
    seed: int, excluded: list[list[int]], size: int, weights: np.ndarray | None
) -> None:
    goals = np.array([items[0] if items else 1 for items in excluded])
    banned = [np.array(items, dtype=int) for items in excluded]
    enough = all(12 - len({*items, goal}) >= size - 1 for items, goal in zip(excluded, goals, strict=True))
    if not enough:
        with pytest.raises(DataError, match="candidates.size must leave"):
            draw_candidates(seed, _keys(len(goals)), goals, banned, 12, size, weights)
        return
    rows = draw_candidates(seed, _keys(len(goals)), goals, banned, 12, size, weights)
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


WEIGHTS = np.array([8.0, 4.0, 2.0, 1.0, 1.0, 0.5])


def _successive(items: list[int], count: int, weights: np.ndarray) -> dict[tuple[int, ...], float]:
    """Probability of each way to draw so many of `items` one after the other, by weight."""
    found = {}
    for way in permutations(items, count):
        left, chance = float(weights[np.array(items) - 1].sum()), 1.0
        for item in way:
            chance *= weights[item - 1] / left
            left -= weights[item - 1]
        found[way] = chance
    return found


@pytest.mark.parametrize("weights", [WEIGHTS, None])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_negatives_come_one_after_the_other_by_weight(size: int, weights: np.ndarray | None) -> None:
    """Of items 1, 3, 5 and 6. With so few, many lists don't find enough in their first proposals."""
    n = 20_000
    rows = draw_candidates(3, _keys(n), np.full(n, 4), [np.array([2])] * n, 6, size, weights)
    drawn = Counter(map(tuple, rows[rows != 4].reshape(n, size - 1).tolist()))
    expected = _successive([1, 3, 5, 6], size - 1, np.ones(6) if weights is None else weights)
    assert set(drawn) == set(expected)
    observed = [drawn[way] for way in expected]
    assert stats.chisquare(observed, n * np.array(list(expected.values()))).pvalue > 0.001
    places = Counter(np.argmax(rows == 4, axis=1).tolist())
    assert stats.chisquare([places[i] for i in range(size)]).pvalue > 0.001


@pytest.mark.parametrize("source", [Alike(6, 8), ByWeight(WEIGHTS)])
def test_what_is_left_is_drawn_with_the_same_probabilities(source: Alike | ByWeight) -> None:
    n, left = 10_000, np.array([1, 3, 6])
    drawn = Counter(
        tuple(source.draw_left(lambda stream, counters, i=i: random_words(5, i, stream, counters), left, 2).tolist())
        for i in range(n)
    )
    expected = _successive([1, 3, 6], 2, np.ones(6) if isinstance(source, Alike) else WEIGHTS)
    observed = [drawn[way] for way in expected]
    assert stats.chisquare(observed, n * np.array(list(expected.values()))).pvalue > 0.001


@pytest.mark.parametrize(("n_items", "first"), [(6, 8), (20, 20)])
def test_what_is_left_is_shuffled_by_words_that_proposed_nothing(n_items: int, first: int) -> None:
    """In a catalogue of fewer items than proposals, they would tell what was refused."""
    used = []

    def words(stream: int, counters: np.ndarray) -> np.ndarray:
        used.append((stream, counters.min()))
        return random_words(5, stream, counters)

    Alike(n_items, 8).draw_left(words, np.array([1, 3, 6]), 2)
    assert used == [(PROPOSED, first)]


def _one_by_one(key: tuple[int, ...], target: int, banned: set[int], weights: np.ndarray, size: int) -> list[int]:
    """The first new and allowed of a list's proposals; of 200 items it looks at up to 2 · 6 · 4 · 4 of them."""
    bounds = np.cumsum(weights)
    taken: list[int] = []
    for counter in range(192):
        share = float(random_words(1, *key, 1, counter) >> np.uint64(11)) / 2**53
        item = 1 + int((bounds <= share * bounds[-1]).sum())
        if item not in {target, *banned, *taken} and len(taken) < size - 1:
            taken.append(item)
    return taken


def test_many_lists_are_drawn_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their users have had much of what is popular, so that lists look at 12, 48 or 192 proposals, or at all items."""
    weights = 1.0 + 5000.0 / np.arange(1, 201) ** 2
    keys = (np.full(60, 2), np.arange(60), np.arange(60) % 3)
    goals = np.arange(60) % 7 + 100
    banned = [np.arange(1, i + 1) for i in range(60)]
    together = draw_candidates(1, keys, goals, banned, 200, 6, weights)
    monkeypatch.setattr(negatives, "_AT_ONCE", 50)
    assert draw_candidates(1, keys, goals, banned, 200, 6, weights).tolist() == together.tolist()
    lengths = Counter()
    for i in range(60):
        alone = draw_candidates(1, tuple(k[i : i + 1] for k in keys), goals[i : i + 1], [banned[i]], 200, 6, weights)
        assert alone.tolist() == together[i : i + 1].tolist()
        expected = _one_by_one(tuple(int(k[i]) for k in keys), int(goals[i]), set(banned[i].tolist()), weights, 6)
        found = [item for item in together[i].tolist() if item != goals[i]]
        assert found[: len(expected)] == expected
        lengths[len(expected) == 5] += 1
    assert min(lengths[True], lengths[False]) > 10


def test_weights_are_training_interactions_and_pseudo_counts() -> None:
    sequences = make_sequences([[1, 2, 1], [2, 3], [4, 3]], ["train", "validation", "test"])
    assert negative_weights(sequences, 5, "popularity", 0.5).tolist() == [2.5, 1.5, 0.5, 0.5, 0.5]
    for rule in ("outside_history", "outside_recent", "hard"):
        assert negative_weights(sequences, 5, rule, 0.5) is None


def test_lists_by_popularity_are_drawn_by_these_weights() -> None:
    sequences = make_sequences([[1, 1, 1, 2], [9, 8, 7, 6], [6, 7, 8, 9]], ["train", "validation", "test"])
    popularity = Popularity(smoothing=0.25)
    sets = build_candidate_sets(sequences, 40, _params("popularity", popularity=popularity), 10, 3).of("test")
    weights = np.array([3.25, 1.25, *[0.25] * 38])
    keys = (np.full(1, 2), np.zeros(1, int), np.zeros(1, int))
    expected = draw_candidates(0, keys, np.array([9]), [np.array([6, 7, 8, 9])], 40, 4, weights)
    assert sets.candidates.tolist() == expected.tolist()
    alike = build_candidate_sets(sequences, 40, _params("outside_history"), 10, 3)
    assert sets.candidates.tolist() != alike.of("test").candidates.tolist()
    assert build_candidate_sets(sequences, 40, _params("hard"), 10, 3).digest == alike.digest  # until they are redrawn
    assert sets.target_indices.tolist() == alike.of("test").target_indices.tolist()


def test_proposals_come_as_often_as_their_weights_say() -> None:
    weights = np.array([3.0, 0.0625, 1.5, 10.0])
    shares = np.linspace(0, 1, 10_000, endpoint=False)
    words = (shares * 2**53).astype(np.uint64) << np.uint64(11)
    counts = np.bincount(ByWeight(weights).items(words), minlength=5)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:] / 10_000, weights / weights.sum(), atol=2e-4)
    assert ByWeight(weights).items(np.array([[0], [2**64 - 1]], dtype=np.uint64)).tolist() == [[1], [4]]


POOLS = np.array([[9, 2, 5, 7, 3], [4, 8, 6, 0, 0]])


def test_a_draw_from_a_pool_knows_only_which_items_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    example = np.array([0, 1, 0, 1, 1])
    keys = (np.arange(5), np.full(5, 3))
    drawn = draw_from_pools(0, keys, POOLS, example, 3)
    assert [sorted(drawn[i].tolist()) for i in (1, 3, 4)] == [[4, 6, 8]] * 3
    for row in (drawn[0], drawn[2]):
        assert len(set(row.tolist())) == 3
        assert set(row.tolist()) < {9, 2, 5, 7, 3}
    turned = np.array([[3, 9, 7, 5, 2], [6, 4, 8, 0, 0]])
    assert draw_from_pools(0, keys, turned, example, 3).tolist() == drawn.tolist()
    monkeypatch.setattr(negatives, "_AT_ONCE", 1)
    assert draw_from_pools(0, keys, POOLS, example, 3).tolist() == drawn.tolist()
    for i in range(5):
        own = tuple(key[i : i + 1] for key in keys)
        assert draw_from_pools(0, own, POOLS, example[i : i + 1], 3).tolist() == drawn[i : i + 1].tolist()


def test_all_of_a_pool_are_drawn_equally_often() -> None:
    n = 5000
    drawn = draw_from_pools(1, (np.arange(n),), POOLS, np.zeros(n, int), 2)
    pairs = Counter(map(tuple, drawn.tolist()))
    assert len(pairs) == 20
    assert stats.chisquare(list(pairs.values())).pvalue > 0.001


def test_rules_for_negatives() -> None:
    sequences = make_sequences([[1, 2, 3, 4, 5, 6]], ["test"])
    examples = Examples(np.array([0]), np.array([4]))
    for rule in ("outside_history", "popularity", "hard"):
        assert items_never_negative(sequences, examples, "test", rule, 2)[0].tolist() == [1, 2, 3, 4, 5, 6]
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
    positions = AllPositions(limit=1000, draws=n_draws)
    params = _params(size=20, draws=Draws(validation=1, test=n_draws), all_positions=positions)
    return sequences, build_candidate_sets(sequences, 100, params, 10, 3)


@pytest.mark.parametrize("scope", ["last", "all"])
def test_the_list_does_not_give_the_target_away(scope: Scope) -> None:
    """Lookups that never see the history, learnt on half of the users, score at chance on the other half.

    Targets are as popular as negatives here, so that only the way the lists are drawn could help.
    """
    _, sets = _many_sets(610, 5)
    test = sets.of("test", scope)
    assert len(test) == 600 * 5
    learn, judge = test.select(test.user_ids % 2 == 0), test.select(test.user_ids % 2 == 1)
    require_chance(history_free_guesses(learn, judge), judge, 5)


@pytest.mark.parametrize("scope", ["last", "all"])
def test_popularity_does_not_give_targets_away_that_are_as_popular_as_negatives(scope: Scope) -> None:
    """Users choose by popularity. Among negatives that are drawn alike, it tells the target; by popularity, it doesn't.

    Nearly: of items drawn one after the other without replacement, popular ones come a little earlier, and the target
    is the first. The catalogue is so large here that this is less than can be seen.
    """
    counts = np.repeat([0, 1, 3, 7, 15, 31], 100)
    shares = (counts + 1) / (counts + 1).sum()
    generator = np.random.default_rng(2)
    users = [(1 + generator.choice(600, size=4, replace=False, p=shares)).tolist() for _ in range(610)]
    training = np.repeat(np.arange(1, 601), counts).tolist()
    sequences = make_sequences([training, *users], ["train"] + ["validation"] * 10 + ["test"] * 600)
    popularity = np.concatenate([[0], counts])
    chosen = {}
    for rule in ("popularity", "outside_history"):
        positions, draws = AllPositions(limit=1000, draws=5), Draws(validation=1, test=5)
        params = _params(rule, size=20, draws=draws, all_positions=positions)
        test = build_candidate_sets(sequences, 600, params, 10, 3).of("test", scope)
        learn, judge = test.select(test.user_ids % 2 == 0), test.select(test.user_ids % 2 == 1)
        most, least = best_by(popularity, judge), best_by(-popularity, judge)
        if rule == "popularity":
            require_chance(history_free_guesses(learn, judge) | {"most": most, "least": least}, judge, 5)
        chosen[rule] = hits_by_user(most, judge, 5).mean()
    assert chosen["popularity"] < 0.08
    assert chosen["outside_history"] > 0.13


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
    with pytest.raises(
        DataError, match=r"split.validation must hold a user with an item before the last one, got none"
    ):
        build_candidate_sets(sequences, 30, _params(), 10, 3)


def _all_sets(limit: int, draws: int = 2, seed: int = 0) -> CandidateSets:
    sequences = make_sequences(
        [[1, 2], [5, 6, 7, 8], [9, 8, 7, 6, 5], [3, 4, 1, 2, 9, 8]], ["train"] + ["validation"] * 2 + ["test"]
    )
    params = _params(seed=seed, all_positions=AllPositions(limit=limit, draws=draws))
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
