"""Encoding, filters, grouping, splits and windows against independent slow references on random logs."""

from collections import Counter, defaultdict
from itertools import pairwise
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llara_core.datasets.log import COLUMNS
from llara_core.errors import DataError
from llara_core.params.datasets import Filters
from llara_core.params.params import Params
from llara_core.params.sections import Split
from llara_core.sequences.building import group_by_user
from llara_core.sequences.encoding import Interactions, encode_interactions
from llara_core.sequences.filtering import filter_interactions, k_core
from llara_core.sequences.splitting import split_sequences
from llara_core.sequences.windows import (
    all_positions,
    count_positions,
    histories,
    last_positions,
    targets,
    training_bounds,
)
from llara_core.tables.sequences import SPLITS, Sequences
from tests.factories import KEEP_ALL

Row = tuple[int, int, float, int]
LOGS = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 9), st.sampled_from([1.0, 3.0, 5.0]), st.integers(0, 30)),
    min_size=1,
    max_size=80,
)
SCHEMA = pa.schema(zip(COLUMNS, (pa.int64(), pa.int64(), pa.float32(), pa.int64()), strict=True))
ITEMS = pa.array(range(1, 10), pa.int64())
IN_FILE_ORDER = KEEP_ALL.model_copy(update={"ties": "file_order"})


def _split(name: str, validation: float = 0.1, test: float = 0.1) -> Split:
    return Split(name=name, validation=validation, test=test, min_history=1, history_length=5)


def _encode(log: list[Row]) -> Interactions:
    table = pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in log], SCHEMA)
    return encode_interactions(table, ITEMS)


def _build(log: list[Row], filters: Filters, split: Split) -> Sequences:
    kept, _ = filter_interactions(_encode(log), filters, seed=0)
    return split_sequences(group_by_user(kept, ties=filters.ties, unused_items=filters.unused_items), split)


def _slow(log: list[Row], validation: int, test: int) -> dict[str, tuple[str, list[int]]]:
    """Return user → (split, items) of the paper's protocol by plain loops; `validation` and `test` are tenths."""
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


@given(LOGS, st.integers(1, 4), st.integers(1, 4))
def test_the_paper_s_protocol_agrees_with_the_slow_reference(log: list[Row], validation: int, test: int) -> None:
    expected = _slow(log, validation, test)
    filters = IN_FILE_ORDER.model_copy(update={"min_rating": 3.0})
    split = _split("first_interaction", validation / 10, test / 10)
    if {name for name, _ in expected.values()} != set(SPLITS):
        with pytest.raises(DataError):
            _build(log, filters, split)
        return
    sequences = _build(log, filters, split)
    rows = zip(sequences.raw_user_ids.to_pylist(), sequences.split_names, strict=True)
    assert {user: (name, sequences.items_of(i).tolist()) for i, (user, name) in enumerate(rows)} == expected
    assert sequences.user_ids.tolist() == list(range(1, len(expected) + 1))


@given(
    LOGS, st.integers(1, 4), st.integers(1, 6), st.sampled_from(["first_interaction", "leave_one_out", "global_time"])
)
def test_windows_agree_with_slicing(log: list[Row], min_history: int, length: int, name: str) -> None:
    try:
        sequences = _build(log, IN_FILE_ORDER, _split(name))
    except DataError:
        return
    for split in SPLITS:
        start, end = sequences.segment(split)
        expected = [
            (row, position, ([0] * length + items[:position])[-length:], items[position])
            for row in range(len(sequences))
            for items in [sequences.items_of(row).tolist()]
            for position in range(max(start[row], min_history), end[row])
        ]
        examples = all_positions(sequences, split, min_history)
        found = zip(
            examples.rows.tolist(),
            examples.positions.tolist(),
            histories(sequences, examples, length).tolist(),
            targets(sequences, examples).tolist(),
            strict=True,
        )
        assert list(found) == expected
        assert count_positions(sequences, split, min_history) == len(expected)


@given(LOGS, st.sampled_from(["first_interaction", "leave_one_out", "global_time"]))
def test_no_split_leaks(log: list[Row], name: str) -> None:
    """Training, validation and test positions partition the log; within a user they follow one another in time."""
    try:
        sequences = _build(log, IN_FILE_ORDER, _split(name, 0.2, 0.2))
    except DataError:
        return
    bounds = [sequences.segment(split) for split in SPLITS]
    assert (bounds[0][0] == 0).all()
    assert (bounds[2][1] == sequences.lengths).all()
    for (_, end), (start, _) in pairwise(bounds):
        assert (end == start).all()
    for row in range(len(sequences)):
        times = sequences.timestamps[sequences.offsets[row] : sequences.offsets[row + 1]]
        assert (np.diff(times) >= 0).all()
    trained = [sequences.item_ids[start:end].tolist() for start, end in zip(*training_bounds(sequences), strict=True)]
    parts = [sequences.items_of(row)[: sequences.train_end[row]].tolist() for row in sequences.rows_of("train")]
    assert trained == [items for items in parts if len(items) >= 2]
    if name == "global_time":
        starts = sequences.offsets[:-1]
        train_times = [
            t for s, e in zip(starts, sequences.train_end, strict=True) for t in sequences.timestamps[s : s + e]
        ]
        later = [
            t
            for s, e, n in zip(starts, sequences.train_end, sequences.lengths, strict=True)
            for t in sequences.timestamps[s + e : s + n]
        ]
        assert max(train_times) < min(later)


def test_leave_one_out_by_hand() -> None:
    log = [(1, item, 5.0, item) for item in (1, 2, 3, 4)] + [(2, 5, 5.0, 1), (2, 6, 5.0, 2)]
    sequences = _build(log, IN_FILE_ORDER, _split("leave_one_out"))
    assert (sequences.train_end.tolist(), sequences.validation_end.tolist()) == ([2, 2], [3, 2])
    assert targets(sequences, last_positions(sequences, "validation")).tolist() == [3]
    assert targets(sequences, last_positions(sequences, "test")).tolist() == [4]
    assert sequences.split_names.tolist() == ["several", "train"]


def test_global_time_by_hand() -> None:
    log = [(1, time, 5.0, time) for time in range(1, 6)] + [(2, time, 5.0, time + 4) for time in range(1, 6)]
    # Times 1 2 3 4 5 | 5 6 | 7 8 9 at shares .5, .2, .3: validation begins at the sixth (5), test at the eighth (7).
    sequences = _build(log, IN_FILE_ORDER, _split("global_time", 0.2, 0.3))
    assert (sequences.train_end.tolist(), sequences.validation_end.tolist()) == ([4, 0], [5, 2])


@given(LOGS, st.randoms(use_true_random=False))
def test_ties_by_item_make_the_order_of_rows_irrelevant(log: list[Row], random: Random) -> None:
    filters = IN_FILE_ORDER.model_copy(update={"ties": "item_id", "repeats": "drop"})
    shuffled = random.sample(log, len(log))
    try:
        one = _build(log, filters, _split("first_interaction", 0.2, 0.2))
    except DataError:
        return
    other = _build(shuffled, filters, _split("first_interaction", 0.2, 0.2))
    for name in ("item_ids", "timestamps", "offsets", "train_end", "validation_end"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()


@given(LOGS, st.integers(1, 4), st.integers(1, 4))
def test_k_core_agrees_with_removing_one_row_at_a_time(log: list[Row], min_user: int, min_item: int) -> None:
    kept = list(enumerate(log))
    while True:
        users, items = Counter(row[0] for _, row in kept), Counter(row[1] for _, row in kept)
        bad = next((entry for entry in kept if users[entry[1][0]] < min_user or items[entry[1][1]] < min_item), None)
        if bad is None:
            break
        kept.remove(bad)
    encoded = _encode(log)
    mask = k_core(encoded.users, encoded.items, min_user, min_item)
    assert np.flatnonzero(mask).tolist() == [place for place, _ in kept]


def test_filters_are_taken_in_order_and_reported() -> None:
    log = [
        (1, 1, 5.0, 1),
        (1, 1, 5.0, 2),
        (1, 2, 1.0, 3),
        (1, 3, 4.0, 4),
        (2, 1, 5.0, 1),
        (3, 3, 5.0, 9),
        (3, 1, 3.0, 8),
    ]
    filters = IN_FILE_ORDER.model_copy(update={"min_rating": 3.0, "repeats": "drop", "min_user_interactions": 2})
    kept, report = filter_interactions(_encode(log), filters, seed=0)
    assert list(report) == ["raw", "min_rating", "repeats", "min_user_interactions"]
    assert [step["interactions"] for step in report.values()] == [7, 6, 5, 4]
    assert [step["users"] for step in report.values()] == [3, 3, 3, 2]
    assert kept.timestamps.tolist() == [1, 4, 9, 8]


def test_sampling_keeps_its_share_whatever_the_order_of_rows() -> None:
    log = [(user, 1 + user % 9, 5.0, user) for user in range(1, 13)]
    filters = IN_FILE_ORDER.model_copy(update={"user_share": 0.5})
    kept, _ = filter_interactions(_encode(log), filters, seed=3)
    again, _ = filter_interactions(_encode(log[::-1]), filters, seed=3)
    other, _ = filter_interactions(_encode(log), filters, seed=4)
    assert len(kept) == 6
    assert sorted(kept.timestamps.tolist()) == sorted(again.timestamps.tolist())
    assert sorted(kept.timestamps.tolist()) != sorted(other.timestamps.tolist())


def test_unused_items_can_be_dropped() -> None:
    log = [(1, 3, 5.0, 1), (1, 7, 5.0, 2)]
    grouped = group_by_user(_encode(log), ties="item_id", unused_items="drop")
    assert grouped.item_ids.tolist() == [1, 2]
    assert ITEMS.take(pa.array(grouped.catalogue)).to_pylist() == [3, 7]


def test_equal_timestamps_keep_the_order_of_the_file() -> None:
    grouped = group_by_user(
        _encode([(1, 7, 5.0, 3), (1, 2, 5.0, 3), (1, 5, 5.0, 1)]), ties="file_order", unused_items="keep"
    )
    assert grouped.item_ids.tolist() == [5, 7, 2]


def test_text_ids_are_ordered_as_texts() -> None:
    table = pa.table({"user": ["b", "a", "b"], "item": ["x", "y", "y"], "rating": [None] * 3, "timestamp": [1, 2, 3]})
    encoded = encode_interactions(table, pa.array(["x", "y"]))
    assert encoded.raw_users.to_pylist() == ["a", "b"]
    assert encoded.users.tolist() == [1, 0, 1]
    assert np.isnan(encoded.ratings).all()


@pytest.mark.parametrize(
    ("log", "filters", "expected"),
    [
        ([(1, 1, 1.0, 0)], {"min_rating": 3.0}, r"filters.min_rating must leave interactions, got none of 1"),
        ([(1, 1, 1.0, 0)], {"core_users": 2}, r"filters.core must leave interactions, got none of 1"),
    ],
)
def test_nothing_left_after_filtering(log: list[Row], filters: dict, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        filter_interactions(_encode(log), IN_FILE_ORDER.model_copy(update=filters), seed=0)


def test_unlisted_items_and_missing_values_are_refused() -> None:
    with pytest.raises(DataError, match="got unlisted item 30"):
        _encode([(1, 30, 5.0, 1)])
    table = pa.table({"user": [1, None], "item": [1, 1], "rating": [None, None], "timestamp": [1, 2]})
    with pytest.raises(DataError, match="must have a user in every interaction, got 1 without"):
        encode_interactions(table, ITEMS)


def test_rounding_costs_no_user(params: Params) -> None:
    log = [(user, 1 + time, 5.0, user + time) for user in range(1, 11) for time in range(2)]
    sequences = _build(log, IN_FILE_ORDER, params.split)
    assert sequences.split_names.tolist() == ["train"] * 8 + ["validation", "test"]


def test_negative_ids_and_missing_ratings_are_refused() -> None:
    with pytest.raises(DataError, match="must have user ids ≥ 0, got -1"):
        _encode([(-1, 1, 5.0, 1)])
    log = _encode([(1, 1, float("nan"), 1), (1, 2, 5.0, 1)])
    with pytest.raises(DataError, match="min_rating needs a rating in every interaction, got 1 without"):
        filter_interactions(log, IN_FILE_ORDER.model_copy(update={"min_rating": 3.0}), seed=0)
