"""Drawing candidate sets: the target and items that the user hasn't had, in random order."""

from collections.abc import Sequence

import numpy as np

from llara_core.errors import DataError
from llara_core.sequences.random_words import random_integers, random_words
from llara_core.sequences.windows import Examples
from llara_core.tables.sequences import Sequences

_PLACES, _ITEMS = 0, 1
_CHUNK = 1 << 14


def draw_candidates(
    seed: int,
    keys: tuple[np.ndarray, ...],
    targets: np.ndarray,
    excluded: Sequence[np.ndarray],
    n_items: int,
    size: int,
) -> np.ndarray:
    """[E, size] int32 candidate sets: row i holds targets[i] at a uniform place and size − 1 uniform negatives.

    Every row is a function of (seed, its keys) alone: neither of the other rows nor of the target, which a seed by
    target would give away.

    Args:
        seed: of the experiment.
        keys: arrays [E] of integers that name the row, such as split, example and draw.
        targets: [E] item ids.
        excluded: E arrays of item ids that may not be negatives; the target needn't be among them. Neighbouring rows
            that share one array object, as the draws of one example do, are worked off together.
        n_items: ids run from 1 to n_items.
        size: candidates per row.

    Raises:
        DataError: a row has fewer than size − 1 possible negatives.
    """
    chunks = [slice(start, start + _CHUNK) for start in range(0, len(targets), _CHUNK)]
    rows = [
        _draw_chunk(seed, tuple(key[part] for key in keys), targets[part], excluded[part], n_items, size)
        for part in chunks
    ]
    return np.concatenate(rows) if rows else np.empty((0, size), dtype=np.int32)


def _draw_chunk(
    seed: int,
    keys: tuple[np.ndarray, ...],
    targets: np.ndarray,
    excluded: Sequence[np.ndarray],
    n_items: int,
    size: int,
) -> np.ndarray:
    # Each row proposes random items in a fixed order and takes the first size − 1 that are new and allowed.
    words = random_words(seed, *(key[:, None] for key in keys), _ITEMS, np.arange(2 * size)[None, :])
    proposals = random_integers(words, n_items) + 1
    allowed = _allowed(proposals, excluded, n_items) & (proposals != targets[:, None]) & _first_in_row(proposals)
    taken = allowed & (np.cumsum(allowed, axis=1) < size)
    negatives = np.empty((len(targets), size - 1), dtype=np.int32)
    enough = taken.sum(axis=1) == size - 1
    negatives[enough] = proposals[enough][taken[enough]].reshape(-1, size - 1)
    for i in np.flatnonzero(~enough).tolist():
        key = tuple(int(part[i]) for part in keys)
        forbidden = np.append(excluded[i], targets[i])
        negatives[i] = _shuffled_rest(seed, key, proposals[i][taken[i]], forbidden, n_items, size - 1)
    places = random_integers(random_words(seed, *keys, _PLACES), size)
    is_target = np.arange(size) == places[:, None]
    rows = np.empty((len(targets), size), dtype=np.int32)
    rows[is_target] = targets
    rows[~is_target] = negatives.reshape(-1)
    return rows


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


def _shuffled_rest(
    seed: int, key: tuple[int, ...], taken: np.ndarray, forbidden: np.ndarray, n_items: int, count: int
) -> np.ndarray:
    """Complete `taken` by sampling without replacement from what is left, for users who had nearly everything."""
    rest = np.setdiff1d(np.arange(1, n_items + 1), np.concatenate([forbidden, taken]))
    if len(rest) + len(taken) < count:
        raise DataError(
            f"candidates.size must leave {count} negatives for every user, got {len(rest) + len(taken)} of "
            f"{n_items} items"
        )
    order = np.argsort(random_words(seed, *key, _ITEMS, n_items + np.arange(len(rest))), kind="stable")
    return np.concatenate([taken, rest[order[: count - len(taken)]]])


def items_never_negative(
    sequences: Sequences, examples: Examples, split: str, rule: str, history_length: int
) -> list[np.ndarray]:
    """[E] arrays of items that may not be negatives of `split`'s examples.

    `outside_history`: none of the user's items, before or after the target, as far as `split` reaches. What is held out
    beyond counts as any other item: negatives that avoid it would give it away. `outside_recent`: none of the last
    `history_length` before the target (the official code's rule, which admits items the user has had).
    """
    if rule == "outside_history":
        _, ends = sequences.segment(split)
        return [sequences.items_of(row)[: ends[row]] for row in examples.rows]
    return [
        sequences.items_of(row)[max(0, position - history_length) : position]
        for row, position in zip(examples.rows, examples.positions, strict=True)
    ]
