"""Grouping, splitting and windows against an independent slow reference, on random logs and on MovieLens-100K."""

from collections import defaultdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llara_core.datasets.log import INTERACTIONS_SCHEMA
from llara_core.errors import DataError
from llara_core.sequences.building import group_by_user, keep_rated
from llara_core.sequences.splitting import split_by_first_interaction
from llara_core.sequences.windows import all_positions, histories, last_positions, targets
from llara_core.tables.sequences import Sequences

LOGS = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 9), st.sampled_from([1.0, 3.0, 5.0]), st.integers(0, 30)),
    min_size=1,
    max_size=80,
)
ITEMS = pa.array(range(1, 10), pa.int64())


def _table(log: list[tuple[int, int, float, int]]) -> pa.Table:
    return pa.Table.from_pylist(
        [dict(zip(INTERACTIONS_SCHEMA.names, row, strict=True)) for row in log], INTERACTIONS_SCHEMA
    )


def _slow(log: list[tuple[int, int, float, int]], validation: int, test: int) -> dict[str, tuple[str, list[int]]]:
    """Return user → (split, items) by plain loops; `validation` and `test` are tenths."""
    users = defaultdict(list)
    for place, (user, item, rating, time) in enumerate(log):
        if rating >= 3:
            users[user].append((time, place, item))
    ranking = sorted(users, key=lambda user: (min(users[user])[0], user))
    n = len(ranking)
    result = {}
    for rank, user in enumerate(ranking):
        if rank < n * (10 - validation - test) // 10:
            split = "train"
        elif rank < n * (10 - test) // 10:
            split = "validation"
        else:
            split = "test"
        result[str(user)] = (split, [item for _, _, item in sorted(users[user])])
    return result


def _fast(log: list[tuple[int, int, float, int]], validation: float, test: float) -> Sequences:
    return split_by_first_interaction(group_by_user(keep_rated(_table(log), 3), ITEMS), validation, test)


@given(LOGS, st.integers(1, 4), st.integers(1, 4))
def test_sequences_and_splits_agree_with_the_slow_reference(
    log: list[tuple[int, int, float, int]], validation: int, test: int
) -> None:
    expected = _slow(log, validation, test)
    if {split for split, _ in expected.values()} != {"train", "validation", "test"}:
        with pytest.raises(DataError):
            _fast(log, validation / 10, test / 10)
        return
    sequences = _fast(log, validation / 10, test / 10)
    rows = zip(sequences.raw_user_ids.to_pylist(), sequences.splits, strict=True)
    assert {user: (split, sequences.items_of(i).tolist()) for i, (user, split) in enumerate(rows)} == expected
    assert sequences.user_ids.tolist() == list(range(1, len(expected) + 1))


@given(LOGS, st.integers(1, 4), st.integers(1, 6))
def test_windows_agree_with_slicing(log: list[tuple[int, int, float, int]], min_history: int, length: int) -> None:
    try:
        sequences = _fast(log, 0.1, 0.1)
    except DataError:
        return
    expected = [
        (row, position, ([0] * length + items[:position])[-length:], items[position])
        for row in sequences.rows_of("train")
        for items in [sequences.items_of(row).tolist()]
        for position in range(min_history, len(items))
    ]
    examples = all_positions(sequences, "train", min_history)
    found = zip(
        examples.rows.tolist(),
        examples.positions.tolist(),
        histories(sequences, examples, length).tolist(),
        targets(sequences, examples).tolist(),
        strict=True,
    )
    assert list(found) == expected


def test_last_positions_leave_out_users_without_history() -> None:
    lists = {1: [1, 2], 2: [3, 4], 3: [5], 4: [6, 7, 8]}
    log = [(user, item, 5.0, 10 * user + place) for user, items in lists.items() for place, item in enumerate(items)]
    sequences = _fast(log, 0.25, 0.5)
    assert sequences.splits.tolist() == ["train", "validation", "test", "test"]
    examples = last_positions(sequences, "test")
    assert examples.rows.tolist() == [3]
    assert targets(sequences, examples).tolist() == [8]


def test_equal_timestamps_keep_the_order_of_the_file() -> None:
    grouped = group_by_user(_table([(1, 7, 5.0, 3), (1, 2, 5.0, 3), (1, 5, 5.0, 1)]), ITEMS)
    assert grouped.item_ids.tolist() == [5, 7, 2]


def test_nothing_left_after_filtering() -> None:
    with pytest.raises(DataError, match="got none of 1 with rating ≥ 3"):
        keep_rated(_table([(1, 1, 1.0, 0)]), 3)


def test_rounding_costs_no_user() -> None:
    log = [(user, 1 + time, 5.0, user + time) for user in range(1, 11) for time in range(2)]
    splits = _fast(log, 0.1, 0.1).splits.tolist()
    assert splits == ["train"] * 8 + ["validation", "test"]
