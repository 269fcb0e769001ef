from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llara_core.errors import DataError
from llara_core.objectives.stream.validation import ValidationTask, expected_hits, validation_task
from llara_core.tables.sequences import Sequences
from tests.factories import make_sequences

LENGTHS = np.array([0, 2, 3, 5, 2, 4, 3, 2, 2])


def _task(
    sequences: Sequences, n_positions: int = 99, budget: int = 14, rule: str = "outside_history"
) -> ValidationTask:
    return validation_task(
        sequences, LENGTHS, budget, size=3, rule=rule, min_history=2, history_length=3, n_positions=n_positions
    )


@settings(deadline=None)
@given(
    scores=st.lists(st.integers(0, 4), min_size=7, max_size=7),
    excluded=st.sets(st.integers(1, 6), max_size=3),
    target=st.integers(1, 6),
    size=st.integers(2, 3),
)
def test_expected_hits_are_the_mean_over_all_lists(
    scores: list[int], excluded: set[int], target: int, size: int
) -> None:
    possible = [item for item in range(1, 7) if item not in excluded | {target}]
    lists = list(combinations(possible, size - 1))
    hits = [all(scores[item] < scores[target] for item in others) for others in lists]
    table = np.array([[np.inf, *scores[1:]]])
    found = expected_hits(table, np.array([target]), [np.array(sorted(excluded), dtype=int)], size)
    assert found.tolist() == pytest.approx([np.mean(hits)])


def test_nan_is_no_hit_and_too_few_negatives_are_named() -> None:
    table = np.array([[0, np.nan, 1, 2]])
    assert expected_hits(table, np.array([1]), [np.array([], dtype=int)], 2).tolist() == [0]
    with pytest.raises(DataError, match="candidates.size must leave 2 negatives for every user, got 1"):
        expected_hits(table, np.array([1]), [np.array([2])], 3)


def test_every_position_of_validation_users_is_asked_once_with_enough_history() -> None:
    sequences = make_sequences(
        [[1, 2, 3], [1, 2, 4, 6, 7, 8, 5, 3, 1, 2, 4], [4, 2], [5, 6, 7]], ["train", "validation", "validation", "test"]
    )
    task = _task(sequences)
    asked = [place for chunk in task.chunks for place in range(chunk.first_target, chunk.end + 1)]
    assert sorted(asked) == list(range(3 + 2, 3 + 11))
    assert task.targets.tolist() == sequences.item_ids[asked].tolist()
    for chunk in task.chunks:
        assert LENGTHS[sequences.item_ids[chunk.start : chunk.end]].sum() <= 14
        assert chunk.start == 3 or chunk.first_target >= chunk.start + 3 or chunk.first_target == chunk.end
    assert all(set(items) == {1, 2, 3, 4, 5, 6, 7, 8} for items in task.excluded)


def test_what_is_never_a_negative_is_what_the_position_s_own_user_has_had() -> None:
    users = [[1, 2, 3, 4], [5, 6, 7], [8, 1, 2, 8]]
    task = _task(make_sequences(users, ["validation", "train", "validation"]))
    found = {target: set(items) for target, items in zip(task.targets.tolist(), task.excluded, strict=True)}
    assert found == {3: {1, 2, 3, 4}, 4: {1, 2, 3, 4}, 2: {1, 2, 8}, 8: {1, 2, 8}}


@pytest.mark.parametrize("rule", ["popularity", "hard"])
def test_rules_of_how_lists_are_drawn_leave_the_same_negatives(rule: str) -> None:
    sequences = make_sequences([[1, 2, 3], [4, 6, 7, 8, 5]], ["train", "validation"])
    found, expected = _task(sequences, rule=rule), _task(sequences)
    assert [items.tolist() for items in found.excluded] == [items.tolist() for items in expected.excluded]
    assert set(_task(sequences, rule="outside_recent").excluded[-1]) == {6, 7, 8}


def test_held_out_positions_of_training_users_are_asked_with_what_stands_before() -> None:
    """Leave one out: each user's last item but one validates, and the last, which tests, isn't touched."""
    made = make_sequences([[1, 2, 3, 4, 5], [6, 7, 8]], ["train", "train"])
    sequences = replace(
        made, train_end=np.array([3, 1], dtype=np.int32), validation_end=np.array([4, 2], dtype=np.int32)
    )
    task = _task(sequences)
    assert task.targets.tolist() == [4]  # the second user's has one item before it
    [chunk] = task.chunks
    assert (chunk.end, chunk.first_target) == (3, 3)
    assert set(task.excluded[0]) == {1, 2, 3, 4}


def test_fewer_positions_are_spread_over_users() -> None:
    users = [[1, 2, 4, 6, 7, 8, 5, 3, 1, 2, 4]] * 20
    sequences = make_sequences(users, ["validation"] * 20)
    task = _task(sequences, n_positions=60)
    assert 40 <= len(task.targets) <= 80
    assert len({chunk.start // 11 for chunk in task.chunks}) >= 15


def test_without_validation_positions_nothing_can_be_chosen() -> None:
    with pytest.raises(DataError, match="split.validation must hold a position with 2 items before it, got none"):
        _task(make_sequences([[1, 2, 3]], ["train"]))
