"""HitRatio@1 on positions of the validation users: what chooses among the weights of a training."""

from dataclasses import dataclass

import numpy as np

from llara_core.errors import DataError
from llara_core.objectives.stream.chunks import Chunk
from llara_core.sequences.negatives import items_never_negative
from llara_core.sequences.windows import Examples
from llara_core.tables.sequences import Sequences


@dataclass(frozen=True)
class ValidationTask:
    """Chunks that ask about P positions.

    Attributes:
        chunks: in the order of the positions.
        targets: [P] item ids.
        excluded: [P] arrays of items that are never negatives.
        size: candidates of a list, the target among them.
    """

    chunks: list[Chunk]
    targets: np.ndarray
    excluded: list[np.ndarray]
    size: int


def validation_task(
    sequences: Sequences,
    lengths: np.ndarray,
    budget: int,
    *,
    size: int,
    rule: str,
    min_history: int,
    history_length: int,
    n_positions: int,
) -> ValidationTask:
    """Spread about `n_positions` evenly over the validation users' positions, in whole chunks.

    A position is asked about with its user's latest `history_length` items before it or more, as many as the chunk has;
    with fewer where titles are so long that a chunk doesn't hold them.

    Args:
        sequences: of all users.
        lengths: [n + 1] tokens of each item.
        budget: tokens of a chunk.
        size: candidates of a list.
        rule: for negatives, as in candidates.negatives; all that may be drawn are alike here, so `popularity` and
            `hard` come down to `outside_history`.
        min_history: a target has at least so many items before it.
        history_length: what evaluation shows.
        n_positions: to ask about; there may be fewer.

    Raises:
        DataError: there are none.
    """
    tokens = np.concatenate([[0], np.cumsum(lengths[sequences.item_ids])])
    starts, ends = sequences.segment("validation")
    cut: list[tuple[int, Chunk]] = []
    for row in np.flatnonzero(ends > np.maximum(starts, min_history)):
        origin = int(sequences.offsets[row])
        lowest, end = origin + max(int(starts[row]), min_history), origin + int(ends[row])
        while end > lowest:
            budgeted = int(np.searchsorted(tokens, tokens[end - 1] - budget, side="left"))
            begin = min(max(origin, budgeted), end - 2)
            first = lowest if begin == origin else min(max(lowest, begin + history_length), end - 1)
            cut.append((int(row), Chunk(begin, end - 1, first)))
            end = first
    if not cut:
        raise DataError(f"split.validation must hold a position with {min_history} items before it, got none")
    counts = np.array([chunk.end + 1 - chunk.first_target for _, chunk in cut])
    share = min(1.0, n_positions / counts.sum())
    n_chunks = max(1, round(share * len(cut)))
    chosen = [cut[place] for place in np.linspace(0, len(cut) - 1, n_chunks).round().astype(int)]
    rows = np.repeat([row for row, _ in chosen], [chunk.end + 1 - chunk.first_target for _, chunk in chosen])
    places = np.concatenate([np.arange(chunk.first_target, chunk.end + 1) for _, chunk in chosen])
    asked = Examples(rows, places - sequences.offsets[rows])
    excluded = items_never_negative(sequences, asked, "validation", rule, history_length)
    return ValidationTask([chunk for _, chunk in chosen], sequences.item_ids[places], excluded, size)


def expected_hits(scores: np.ndarray, targets: np.ndarray, excluded: list[np.ndarray], size: int) -> np.ndarray:
    """[P] probability that the target has the best score of a list, over all lists that could be drawn.

    Of N possible negatives, K have a lower score than the target; `size` − 1 of them are drawn without replacement, so
    it is K/N · (K − 1)/(N − 1) · …. The mean of infinitely many draws of lists, for the price of none.

    Args:
        scores: [P, n + 1] by item id; ties, and NaN, count against the target.
        targets: [P].
        excluded: P arrays of items that are never negatives.
        size: candidates of a list.

    Raises:
        DataError: there aren't enough negatives.
    """
    own = np.take_along_axis(scores, targets[:, None].astype(np.int64), axis=1)
    is_lower = scores < own
    possible = np.ones(scores.shape, dtype=bool)
    possible[:, 0] = False
    possible[np.arange(len(targets)), targets] = False
    for row, items in enumerate(excluded):
        possible[row, items] = False
    n_possible, n_lower = possible.sum(axis=1), (is_lower & possible).sum(axis=1)
    if n_possible.min(initial=size) < size - 1:
        raise DataError(f"candidates.size must leave {size - 1} negatives for every user, got {n_possible.min()}")
    drawn = np.arange(size - 1)
    return np.prod(np.maximum(n_lower[:, None] - drawn, 0) / (n_possible[:, None] - drawn), axis=1)
