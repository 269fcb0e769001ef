"""Recommenders that count: popularity, and a Markov chain that backs off to it."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from llara_core.params.sections import Baselines
from llara_core.recommenders.ranking import Scorer
from llara_core.recommenders.windows import TrainingSequences
from llara_core.tables.items import PADDING_ID

_POSITIONS = 1 << 18  # interactions whose successors are counted at a time: some 30 MiB for 10 steps


def baseline_scorers(
    sequences: TrainingSequences, popularity: np.ndarray, params: Baselines | None
) -> dict[str, Scorer]:
    """What recommenders are compared with, by name; without the Markov chain where params has none.

    Args:
        sequences: of training.
        popularity: [n + 1] training interactions by item id.
        params: of the Markov chain, whose counts need some 120 MiB a million interactions.
    """
    chain = {} if params is None else {"co_occurrence": markov_scorer(sequences, params)}
    return {**chain, "popularity": popularity_scorer(popularity)}


def popularity_scorer(popularity: np.ndarray) -> Scorer:
    """The same scores for everyone: training interactions [n + 1] by item id."""
    scores = popularity.astype(np.float32)
    scores[PADDING_ID] = -np.inf

    def score(histories: np.ndarray) -> Tensor:
        return torch.from_numpy(np.tile(scores, (len(histories), 1)))

    return score


def count_successors(sequences: TrainingSequences, reach: int) -> sparse.csr_array:
    """[n + 1, n + 1] how often the column's item came within `reach` steps after the row's, int32.

    Some rows are counted at a time, so that beside the counts only a few numbers an interaction are in memory.
    """
    n = sequences.n_items + 1
    places, stops = _places_by_item(sequences)
    bounds = np.searchsorted(sequences.item_ids[places], np.arange(n + 1))
    indices: list[np.ndarray] = []
    data: list[np.ndarray] = []
    lengths = np.zeros(n, dtype=np.int64)
    for first, last in row_ranges(bounds, _POSITIONS):
        part = slice(bounds[first], bounds[last])
        counts = _count_rows(sequences.item_ids, places[part], stops[part], reach, (first, last, n))
        indices.append(counts.indices)
        data.append(counts.data)
        lengths[first:last] = np.diff(counts.indptr)
    joined = []
    for parts in (data, indices):
        joined.append(np.concatenate(parts))
        parts.clear()  # else all of them would be in memory twice
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((*joined, starts.astype(_index_type(int(starts[-1])))), shape=(n, n))


def row_ranges(bounds: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Divide n rows into ranges of up to `most` entries, or of one row.

    Args:
        bounds: [n + 1] where each row's entries begin, and where the last one's end.
        most: entries.
    """
    first = 0
    while first < len(bounds) - 1:
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + most, side="right")) - 1)
        yield first, last
        first = last


def _places_by_item(sequences: TrainingSequences) -> tuple[np.ndarray, np.ndarray]:
    """[T] places in the flat array of all interactions that train, by item, and [T] where each one's sequence ends."""
    index = _index_type(len(sequences.item_ids))
    lengths = sequences.ends - sequences.starts
    shifts = sequences.starts - (np.cumsum(lengths) - lengths)
    places = np.arange(lengths.sum(), dtype=index) + np.repeat(shifts.astype(index), lengths)
    order = np.argsort(sequences.item_ids[places], kind="stable")
    return places[order], np.repeat(sequences.ends.astype(index), lengths)[order]


def _index_type(largest: int) -> type[np.signedinteger]:
    return np.int32 if largest <= np.iinfo(np.int32).max else np.int64


def _count_rows(
    items: np.ndarray, places: np.ndarray, stops: np.ndarray, reach: int, shape: tuple[int, int, int]
) -> sparse.csr_array:
    """Counts [last − first, n] of the rows first to last, whose items are at `places`, for shape (first, last, n)."""
    first, last, n = shape
    counts = sparse.csr_array((last - first, n), dtype=np.int32)
    for step in range(1, reach + 1):
        at = places[stops - places > step]
        pairs = (items[at] - first, items[at + step])
        counts += sparse.coo_array((np.ones(len(at), dtype=np.int32), pairs), shape=counts.shape).tocsr()
    return counts


def markov_scorer(sequences: TrainingSequences, params: Baselines) -> Scorer:
    """A first-order Markov chain from each of the latest items, backing off to popularity.

    An item i gives j the probability (c_ij + μ p_j) / (c_i + μ), with c the successors counted in training, p the
    popularity there and μ = `smoothing` (Dirichlet smoothing; Zhai & Lafferty 2004,
    https://doi.org/10.1145/984321.984322). The latest `context` items are mixed with weights 1, `decay`, `decay`², ….
    """
    counts = count_successors(sequences, params.reach)
    totals = np.asarray(counts.sum(axis=1)).ravel() + params.smoothing
    shares = np.asarray(counts.sum(axis=0)).ravel()
    shares = shares / shares.sum()

    def score(histories: np.ndarray) -> Tensor:
        recent = histories[:, -params.context :]
        weights = np.where(recent != PADDING_ID, params.decay ** np.arange(recent.shape[1])[::-1], 0.0)
        weights = weights / weights.sum(axis=1, keepdims=True) / totals[recent]
        rows = np.repeat(np.arange(len(recent)), recent.shape[1])
        used, columns = np.unique(recent, return_inverse=True)
        mixed = sparse.coo_array((weights.ravel(), (rows, columns.ravel())), shape=(len(recent), len(used))).tocsr()
        scores = (mixed @ counts[used].astype(np.float64)).toarray() + params.smoothing * weights.sum(
            axis=1, keepdims=True
        ) * shares
        scores[:, PADDING_ID] = -np.inf
        return torch.from_numpy(scores)

    return score
