from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from llara_core.params.params import Params
from llara_core.params.sections import Baselines
from llara_core.recommenders import counting
from llara_core.recommenders.counting import (
    baseline_scorers,
    count_successors,
    markov_scorer,
    popularity_scorer,
    row_ranges,
)
from llara_core.recommenders.windows import TrainingSequences


def training(sequences: list[list[int]], n_items: int) -> TrainingSequences:
    ends = np.cumsum([len(items) for items in sequences])
    starts = ends - [len(items) for items in sequences]
    return TrainingSequences(np.concatenate(sequences), starts, ends, n_items)


@given(st.lists(st.lists(st.integers(1, 5), min_size=2, max_size=6), min_size=1, max_size=6), st.integers(1, 4))
@settings(deadline=None)
def test_successors_are_counted_as_in_a_loop(sequences: list[list[int]], reach: int) -> None:
    expected = np.zeros((6, 6))
    for items in sequences:
        for i, item in enumerate(items):
            for later in items[i + 1 : i + 1 + reach]:
                expected[item, later] += 1
    assert count_successors(training(sequences, 5), reach).toarray().tolist() == expected.tolist()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 12))
def test_rows_are_divided_into_ranges_of_bounded_size(sizes: list[int], most: int) -> None:
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    ranges = list(row_ranges(bounds, most))
    assert [row for first, last in ranges for row in range(first, last)] == list(range(len(sizes)))
    assert all(last == first + 1 or sum(sizes[first:last]) <= most for first, last in ranges)
    # None could take its follower's first row too.
    assert all(sum(sizes[first : last + 1]) > most for first, last in ranges[:-1])


def test_no_more_interactions_are_counted_at_a_time_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(counting, "_POSITIONS", 20)
    count_rows = counting._count_rows

    def watched(items: np.ndarray, places: np.ndarray, *rest: Any) -> sparse.csr_array:
        seen.append(len(places))
        return count_rows(items, places, *rest)

    monkeypatch.setattr(counting, "_count_rows", watched)
    lists = np.random.default_rng(0).integers(1, 41, size=(10, 20)).tolist()
    counts = count_successors(training(lists, 40), 3)
    assert sum(seen) == 200
    assert max(seen) <= 20
    pairs = Counter((row[i], row[j]) for row in lists for i in range(20) for j in range(i + 1, min(i + 4, 20)))
    assert {(i, j): count for i, j, count in zip(*sparse.find(counts), strict=True)} == pairs


def test_markov_by_hand() -> None:
    # Successors within one step: 1→2 twice, 1→3 once, 2→3 twice; so popularity as a successor is 2: 2/5, 3: 3/5.
    sequences = training([[1, 2, 3], [1, 2, 3], [1, 3]], 4)
    params = Baselines(context=2, reach=1, decay=0.5, smoothing=2.0)
    score = markov_scorer(sequences, params)
    from_1 = np.array([0, (2 + 2 * 0.4) / 5, (1 + 2 * 0.6) / 5, 0])
    from_2 = np.array([0, 2 * 0.4 / 4, (2 + 2 * 0.6) / 4, 0])
    from_4 = np.array([0, 0.4, 0.6, 0])  # never had a successor: backs off to popularity alone
    scores = score(np.array([[0, 0, 1], [3, 1, 2], [0, 0, 4]]))
    assert np.isneginf(scores[:, 0].numpy()).all()
    assert scores[0, 1:].numpy() == pytest.approx(from_1)
    assert scores[1, 1:].numpy() == pytest.approx((from_2 + 0.5 * from_1) / 1.5)
    assert scores[2, 1:].numpy() == pytest.approx(from_4)


def test_the_shipped_chain_gives_probabilities(params: Params) -> None:
    rng = np.random.default_rng(0)
    sequences = training([rng.integers(1, 10, size=12).tolist() for _ in range(8)], 9)
    scores = markov_scorer(sequences, params.baselines)(rng.integers(1, 10, size=(4, 10)))
    assert scores[:, 1:].sum(dim=1).tolist() == pytest.approx([1.0] * 4)
    assert scores[:, 1:].min() >= 0


def test_the_chain_can_be_left_out(params: Params) -> None:
    sequences = training([[1, 2, 3]], 3)
    assert list(baseline_scorers(sequences, np.zeros(4), params.baselines)) == ["co_occurrence", "popularity"]
    assert list(baseline_scorers(sequences, np.zeros(4), None)) == ["popularity"]


def test_popularity_never_names_padding() -> None:
    scores = popularity_scorer(np.array([0, 5, 2]))(np.array([[1], [2]]))
    assert scores.shape == (2, 3)
    assert np.isneginf(scores[:, 0].numpy()).all()
    assert scores[1, 1:].tolist() == [5, 2]
