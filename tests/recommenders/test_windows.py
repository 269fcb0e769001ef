from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llara_core.errors import DataError
from llara_core.recommenders.windows import (
    TrainingSequences,
    Windows,
    cut_windows,
    epoch_batches,
    look_ahead,
    plan_batches,
    plan_windows,
)

LENGTHS = st.lists(st.integers(2, 30), min_size=1, max_size=8)


def numbered(lengths: list[int]) -> TrainingSequences:
    """Sequences of the numbers 1, 2, 3, …, one after another, with a stranger between them."""
    items, starts, ends = [], [], []
    for n in lengths:
        items.append(999)
        starts.append(len(items))
        items += range(len(items) + 1, len(items) + 1 + n)
        ends.append(len(items))
    return TrainingSequences(np.array(items), np.array(starts), np.array(ends), n_items=1000)


@given(LENGTHS, st.integers(1, 10), st.integers(0, 5), st.integers(1, 40), st.integers(0, 99))
@settings(deadline=None)
def test_every_item_after_the_first_is_a_target_once_behind_its_context(
    lengths: list[int], length: int, overlap: int, positions: int, seed: int
) -> None:
    sequences = numbered(lengths)
    expected = sorted(
        i + 1 for start, end in zip(sequences.starts, sequences.ends, strict=True) for i in range(start + 1, end)
    )
    first_of = {
        i + 1: start + 1 for start, end in zip(sequences.starts, sequences.ends, strict=True) for i in range(start, end)
    }
    found = []
    for inputs, targets, _ in epoch_batches(sequences, length, overlap, positions, seed, epoch=1):
        assert inputs.shape == targets.shape
        assert inputs.any(axis=0).all()  # no column of padding
        for shown, goals in zip(inputs, targets, strict=True):
            real = goals[goals > 0]
            assert 1 <= len(real) <= length
            assert len(shown[shown > 0]) <= length + overlap
            assert (shown[goals > 0] == real - 1).all()
            # As much context as there is, up to the overlap.
            context = real[0] - 1 - shown[0]
            assert context == min(overlap, real[0] - 1 - first_of[real[0]])
            assert all(b == a + 1 for a, b in pairwise(shown[shown > 0]))
            found += real.tolist()
    assert sorted(found) == expected
    assert sequences.n_targets == len(expected)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 60), st.integers(0, 99))
@settings(deadline=None)
def test_batches_hold_every_window_once_in_even_shares(lengths: list[int], positions: int, seed: int) -> None:
    ends = np.cumsum(lengths) + np.arange(1, len(lengths) + 1)
    starts = ends - np.array(lengths) - 1
    windows = Windows(starts, starts + 1, ends)
    batches = plan_batches(windows, positions, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(windows.lengths[rows].sum() <= positions + max(lengths) for rows in batches)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=6),
    st.integers(2, 6),
    st.sampled_from([0.0, 0.4, 1.0]),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_later_targets_lie_within_reach(rows: list[tuple[int, int]], reach: int, share: float, seed: int) -> None:
    width = max(context + n for context, n in rows) + 1
    targets = np.zeros((len(rows), width), dtype=np.int64)
    for row, (context, n) in enumerate(rows):
        targets[row, context : context + n] = np.arange(1, n + 1)
    before = targets.copy()
    found = look_ahead(targets, share, reach, np.random.default_rng(seed))
    assert (targets == before).all()
    assert ((found > 0) == (targets > 0)).all()
    further = (found - targets)[targets > 0]
    assert ((further >= 0) & (further <= reach - 1)).all()
    if share == 0:
        assert (found == targets).all()
    if share == 1:  # only the last of a window has nothing later
        enough = (targets > 0) & (targets + reach - 1 <= targets.max(axis=1, keepdims=True))
        assert (found > targets)[enough].all()


@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=8), min_size=1, max_size=5),
    st.integers(0, 7),
    st.integers(2, 6),
    st.integers(0, 99),
)
@settings(deadline=None)
def test_later_targets_do_not_depend_on_padding(rows: list[list[int]], more: int, reach: int, seed: int) -> None:
    width = max(len(row) for row in rows)

    def padded(to: int) -> np.ndarray:
        return np.array([row + [0] * (to - len(row)) for row in rows], dtype=np.int64).reshape(len(rows), to)

    found = [
        look_ahead(padded(to), 0.7, reach, np.random.default_rng(seed))[:, :width].tolist()
        for to in (width, width + more)
    ]
    assert found[0] == found[1]


def test_the_last_target_of_a_row_stands_in_for_what_is_further() -> None:
    targets = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])
    found = look_ahead(targets, 1.0, 2, np.random.default_rng(0))  # always one step further
    assert found.tolist() == [[2, 3, 3, 0, 0], [5, 6, 7, 8, 8]]
    always_far = look_ahead(np.array([[1, 2, 3, 0, 0]]), 1.0, 1000, np.random.default_rng(0))
    assert always_far.tolist() == [[3, 3, 3, 0, 0]]


def test_the_share_of_later_targets_is_kept_and_steps_are_uniform() -> None:
    targets = np.tile(np.arange(1, 2001), (50, 1))
    further = (look_ahead(targets, 0.3, 4, np.random.default_rng(0)) - targets)[:, :-4]
    shares = np.bincount(further.ravel(), minlength=5) / further.size
    assert shares == pytest.approx([0.7, 0.1, 0.1, 0.1, 0], abs=0.005)


def test_length_buckets_waste_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 51, size=20_000)
    ends = np.cumsum(lengths + 1)
    windows = Windows(ends - lengths - 1, ends - lengths, ends)
    batches = plan_batches(windows, 2048, np.random.default_rng(1))
    padded = sum(len(rows) * windows.lengths[rows].max() for rows in batches)
    assert padded < 1.1 * lengths.sum()
    shuffled = np.random.default_rng(1).permutation(20_000).reshape(-1, 80)
    assert sum(80 * lengths[rows].max() for rows in shuffled) > 1.8 * lengths.sum()  # what it would be without


def test_epochs_differ_and_each_can_be_entered_in_the_middle() -> None:
    sequences = numbered([20, 30, 11, 7])

    def first(epoch: int, skip: int = 0) -> list[list]:
        return [inputs.tolist() for inputs, _, _ in epoch_batches(sequences, 5, 2, 12, seed=3, epoch=epoch, skip=skip)]

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert first(1, skip=2) == first(1)[2:]


def test_windows_of_a_million_items_are_planned_without_being_cut() -> None:
    n = 1_000_000
    ends = np.arange(10, n + 1, 10)
    sequences = TrainingSequences(np.ones(n, dtype=np.int32), ends - 10, ends, n_items=3)
    windows = plan_windows(sequences, 50, 0, np.random.default_rng(0))
    assert windows.starts.nbytes + windows.targets.nbytes + windows.ends.nbytes < 8 * n
    inputs, targets = cut_windows(sequences, windows, np.array([5, 7]))
    assert inputs.shape == targets.shape
    assert inputs.shape[1] <= 9


@pytest.mark.parametrize(
    ("items", "starts", "ends", "message"),
    [
        ([1, 2, 3], [0, 2], [2, 3], "training sequences must have at least 2 items, got 1 in sequence 1"),
        ([1, 2, 3], [], [], "training must have at least one sequence of two items, got none"),
        ([1, 2, 6], [0], [3], r"item ids must lie in the item table 1..5, got 1..6"),
        ([0, 2, 5], [0], [3], r"item ids must lie in the item table 1..5, got 0..5"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    items: list[int], starts: list[int], ends: list[int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        TrainingSequences(np.array(items), np.array(starts, dtype=int), np.array(ends, dtype=int), n_items=5)
