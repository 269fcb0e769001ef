"""Drawing candidate sets: the target and items that the user hasn't had, in random order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from llara_core.errors import DataError
from llara_core.sequences.proposals import FROM_POOL, PLACES, PROPOSED, Alike, ByWeight, Source
from llara_core.sequences.random_words import random_integers, random_words
from llara_core.sequences.windows import Examples
from llara_core.tables.items import PADDING_ID
from llara_core.tables.sequences import Sequences

_AT_ONCE = 1 << 20  # proposals


@dataclass(frozen=True)
class _Lists:
    """E lists: the seed and the arrays [E] that name them, targets [E], and E arrays of what can't be a negative."""

    seed: int
    keys: tuple[np.ndarray, ...]
    targets: np.ndarray
    excluded: Sequence[np.ndarray]

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, rows: np.ndarray) -> Self:
        keys = tuple(key[rows] for key in self.keys)
        return type(self)(self.seed, keys, self.targets[rows], [self.excluded[row] for row in rows.tolist()])

    def words(self, stream: int, counters: np.ndarray) -> np.ndarray:
        """[E, P] random words of each list, by counters [P], or [E, P] for different ones."""
        return random_words(self.seed, *(key[:, None] for key in self.keys), stream, counters)


def draw_candidates(
    seed: int,
    keys: tuple[np.ndarray, ...],
    targets: np.ndarray,
    excluded: Sequence[np.ndarray],
    n_items: int,
    size: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """[E, size] int32 candidate sets: row i holds targets[i] at a uniform place and size − 1 negatives.

    Negatives are drawn one after the other without replacement, alike or in proportion to `weights`. Every row is a
    function of (seed, its keys) alone: neither of the other rows nor of the target, which a seed by target would give
    away.

    Args:
        seed: of the experiment.
        keys: arrays [E] of integers that name the row, such as split, example and draw.
        targets: [E] item ids.
        excluded: E arrays of item ids that may not be negatives; the target needn't be among them. Neighbouring rows
            that share one array object, as the draws of one example do, are worked off together.
        n_items: ids run from 1 to n_items.
        size: candidates per row.
        weights: [n_items] > 0 of each item as a negative; None: all alike.

    Raises:
        DataError: a row has fewer than size − 1 possible negatives.
    """
    lists = _Lists(seed, keys, targets, excluded)
    n_proposals = 2 * size
    source = Alike(n_items, n_proposals) if weights is None else ByWeight(weights)
    is_target = np.arange(size) == random_integers(random_words(seed, *keys, PLACES), size)[:, None]
    rows = np.empty((len(lists), size), dtype=np.int32)
    rows[is_target] = targets
    rows[~is_target] = _draw_negatives(lists, source, size - 1, n_proposals).reshape(-1)
    return rows


def _draw_negatives(lists: _Lists, source: Source, count: int, n_proposals: int) -> np.ndarray:
    """[E, count] the first new and allowed items among each list's proposals, of which it looks at n_proposals."""
    at_once = max(1, _AT_ONCE // n_proposals)
    negatives = np.empty((len(lists), count), dtype=np.int32)
    for start in range(0, len(lists), at_once):
        rows = np.arange(start, min(start + at_once, len(lists)))
        negatives[rows] = _draw_chunk(lists.select(rows), source, count, n_proposals)
    return negatives


def _draw_chunk(lists: _Lists, source: Source, count: int, n_proposals: int) -> np.ndarray:
    proposals = source.items(lists.words(PROPOSED, np.arange(n_proposals)))
    allowed = _allowed(proposals, lists.excluded, source.n_items)
    allowed &= (proposals != lists.targets[:, None]) & _first_in_row(proposals)
    taken = allowed & (np.cumsum(allowed, axis=1) <= count)
    negatives = np.empty((len(lists), count), dtype=np.int32)
    enough = taken.sum(axis=1) == count
    negatives[enough] = proposals[enough][taken[enough]].reshape(-1, count)
    short = np.flatnonzero(~enough)
    if 4 * n_proposals <= source.patience:
        negatives[short] = _draw_negatives(lists.select(short), source, count, 4 * n_proposals)
    else:
        for i in short.tolist():
            negatives[i] = _complete(lists.select(np.array([i])), source, proposals[i][taken[i]], count)
    return negatives


def _complete(one: _Lists, source: Source, taken: np.ndarray, count: int) -> np.ndarray:
    """Add to the items that one list has `taken` from what is left, for users who had nearly everything."""
    is_left = np.ones(source.n_items + 1, dtype=bool)
    is_left[np.concatenate([[PADDING_ID], one.excluded[0], one.targets, taken])] = False
    left = np.flatnonzero(is_left)
    require_enough(len(left) + len(taken), count, source.n_items)
    words = partial(random_words, one.seed, *(int(key[0]) for key in one.keys))
    return np.concatenate([taken, source.draw_left(words, left, count - len(taken))])


def require_enough(n_possible: int, count: int, n_items: int) -> None:
    """Check how many negatives a list can have.

    Raises:
        DataError: they are fewer than `count`.
    """
    if n_possible < count:
        raise DataError(
            f"candidates.size must leave {count} negatives for every user, got {n_possible} of {n_items} items"
        )


def draw_from_pools(
    seed: int, keys: tuple[np.ndarray, ...], pools: np.ndarray, example: np.ndarray, count: int
) -> np.ndarray:
    """[E, count] int32 items drawn alike and without replacement, each row's from one pool.

    A row is a function of seed, its keys and which items its pool holds: in what order doesn't matter.

    Args:
        seed: of the lists.
        keys: arrays [E] of integers that name the row.
        pools: [X, K] distinct item ids, `count` or more, and padding behind them.
        example: [E] which pool is each row's.
        count: items of each row.
    """
    drawn = np.empty((len(example), count), dtype=np.int32)
    at_once = max(1, _AT_ONCE // pools.shape[1])
    for start in range(0, len(example), at_once):
        part = slice(start, start + at_once)
        items = pools[example[part]]
        words = random_words(seed, *(key[part, None] for key in keys), FROM_POOL, items)
        words[items == PADDING_ID] = np.iinfo(np.uint64).max
        order = np.argsort(words, axis=1, kind="stable")[:, :count]
        drawn[part] = np.take_along_axis(items, order, axis=1)
    return drawn


def _allowed(proposals: np.ndarray, excluded: Sequence[np.ndarray], n_items: int) -> np.ndarray:
    """[E, P] whether each proposal is outside its row's excluded items."""
    is_excluded = np.zeros(n_items + 1, dtype=bool)
    allowed = np.empty(proposals.shape, dtype=bool)
    start = 0
    while start < len(excluded):
        items, end = excluded[start], start + 1
        while end < len(excluded) and excluded[end] is items:
            end += 1
        is_excluded[items] = True
        allowed[start:end] = ~is_excluded[proposals[start:end]]
        is_excluded[items] = False
        start = end
    return allowed


def _first_in_row(values: np.ndarray) -> np.ndarray:
    """[E, P] whether each value stands in its row for the first time."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    is_first = np.ones(values.shape, dtype=bool)
    is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    result = np.empty_like(is_first)
    np.put_along_axis(result, order, is_first, axis=1)
    return result


def items_never_negative(
    sequences: Sequences, examples: Examples, split: str, rule: str, history_length: int
) -> list[np.ndarray]:
    """[E] arrays of items that may not be negatives of `split`'s examples.

    `outside_recent`: none of the last `history_length` before the target (the official code's rule, which admits items
    the user has had). All other rules: none of the user's items, before or after the target, as far as `split` reaches.
    What is held out beyond counts as any other item: negatives that avoid it would give it away.
    """
    if rule == "outside_recent":
        return [
            sequences.items_of(row)[max(0, position - history_length) : position]
            for row, position in zip(examples.rows, examples.positions, strict=True)
        ]
    _, ends = sequences.segment(split)
    return [sequences.items_of(row)[: ends[row]] for row in examples.rows]


def negative_weights(sequences: Sequences, n_items: int, rule: str, smoothing: float) -> np.ndarray | None:
    """[n] weights of items as negatives: under `popularity` training interactions + `smoothing`, else None, all alike.

    With the pseudo-counts every item can be drawn: if those never seen in training couldn't, the only one of a list
    would be its target.
    """
    return sequences.count_training(n_items) + smoothing if rule == "popularity" else None
