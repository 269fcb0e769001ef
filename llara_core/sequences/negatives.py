"""Drawing candidate sets: the target and items that the user hasn't had, in random order."""

import numpy as np

from llara_core.errors import DataError
from llara_core.sequences.random_words import random_integers, random_words
from llara_core.tables.sequences import Sequences

_PLACES, _ITEMS = 0, 1


def draw_candidates(
    seed: int, keys: tuple[np.ndarray, ...], targets: np.ndarray, excluded: list[np.ndarray], n_items: int, size: int
) -> np.ndarray:
    """[E, size] int32 candidate sets: row i holds targets[i] at a uniform place and size − 1 uniform negatives.

    Every row is a function of (seed, its keys) alone: neither of the other rows nor of the target, which a seed by
    target would give away.

    Args:
        seed: of the experiment.
        keys: arrays [E] of integers that name the row, such as split, example and draw.
        targets: [E] item ids.
        excluded: E arrays of item ids that may not be negatives; the target needn't be among them.
        n_items: ids run from 1 to n_items.
        size: candidates per row.

    Raises:
        DataError: a row has fewer than size − 1 possible negatives.

    """
    places = random_integers(random_words(seed, *keys, _PLACES), size)
    # n_items distinct numbers would be a full shuffle; a few times `size` are enough for nearly every row.
    budget = min(n_items, 4 * size)
    words = random_words(seed, *(key[:, None] for key in keys), _ITEMS, np.arange(budget)[None, :])
    proposals = random_integers(words, n_items) + 1
    rows = np.empty((len(targets), size), dtype=np.int32)
    for i, target in enumerate(targets):
        forbidden = np.append(excluded[i], target)
        negatives = _first_distinct(proposals[i], forbidden, size - 1)
        if len(negatives) < size - 1:
            negatives = _shuffled_rest(seed, tuple(int(key[i]) for key in keys), forbidden, n_items, size - 1)
        rows[i] = np.insert(negatives, places[i], target)
    return rows


def _first_distinct(proposals: np.ndarray, forbidden: np.ndarray, count: int) -> np.ndarray:
    _, first = np.unique(proposals, return_index=True)
    distinct = proposals[np.sort(first)]
    return distinct[~np.isin(distinct, forbidden)][:count]


def _shuffled_rest(seed: int, key: tuple[int, ...], forbidden: np.ndarray, n_items: int, count: int) -> np.ndarray:
    """Sample without replacement from what is allowed, for the rare user who had nearly everything."""
    allowed = np.setdiff1d(np.arange(1, n_items + 1), forbidden)
    if len(allowed) < count:
        raise DataError(
            f"candidates.size must leave {count} negatives for every user, got {len(allowed)} of {n_items} items"
        )
    order = np.argsort(random_words(seed, *key, _ITEMS, np.arange(len(allowed))), kind="stable")
    return allowed[order[:count]]


def items_never_negative(
    sequences: Sequences, rows: np.ndarray, positions: np.ndarray, rule: str, history_length: int
) -> list[np.ndarray]:
    """[E] arrays of items that may not be negatives.

    `outside_history`: none of the user's items, before or after the target. `outside_recent`: none of the last
    `history_length` before the target (the official code's rule, which admits items the user has had).
    """
    if rule == "outside_history":
        return [sequences.items_of(row) for row in rows]
    return [
        sequences.items_of(row)[max(0, position - history_length) : position]
        for row, position in zip(rows, positions, strict=True)
    ]
