"""Examples: a user's position whose item is the target, with the items before it as history."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.sequences import Sequences


@dataclass(frozen=True)
class Examples:
    """E examples.

    Attributes:
        rows: [E] row of the user in the sequences.
        positions: [E] index of the target in the user's sequence.
    """

    rows: np.ndarray
    positions: np.ndarray

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.rows)


def all_positions(sequences: Sequences, split: str, min_history: int) -> Examples:
    """Every position of `split` that has at least `min_history` items before it."""
    first, counts = _eligible(sequences, split, min_history)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Examples(np.repeat(np.arange(len(sequences)), counts), within + np.repeat(first, counts))


def count_positions(sequences: Sequences, split: str, min_history: int) -> int:
    """Count `all_positions` without making them."""
    return int(_eligible(sequences, split, min_history)[1].sum())


def _eligible(sequences: Sequences, split: str, min_history: int) -> tuple[np.ndarray, np.ndarray]:
    """[U] first position of `split` with enough history, and [U] how many there are from it on."""
    start, end = sequences.segment(split)
    first = np.maximum(start, min_history)
    return first, np.maximum(end - first, 0)


def last_positions(sequences: Sequences, split: str) -> Examples:
    """Return every user's last position of `split`, if there is a history before it."""
    start, end = sequences.segment(split)
    rows = np.flatnonzero((end > start) & (end >= 2))
    return Examples(rows, end[rows] - 1)


def training_bounds(sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
    """Where in the flat items the part of each user begins and ends that trains, if it holds two items or more."""
    rows = np.flatnonzero(sequences.train_end >= 2)
    starts = sequences.offsets[rows]
    return starts, starts + sequences.train_end[rows]


def of_candidate_sets(sequences: Sequences, sets: CandidateSets) -> Examples:
    """[R] the example that each candidate set belongs to."""
    return Examples(np.searchsorted(sequences.user_ids, sets.user_ids), sets.positions)


def targets(sequences: Sequences, examples: Examples) -> np.ndarray:
    """[E] item ids at the examples' positions."""
    return sequences.item_ids[sequences.offsets[examples.rows] + examples.positions]


def histories(sequences: Sequences, examples: Examples, length: int) -> np.ndarray:
    """[E, length] int32 items before each example's position, the latest last, padded on the left."""
    ends = sequences.offsets[examples.rows] + examples.positions
    indices = ends[:, None] + np.arange(-length, 0)
    inside = indices >= sequences.offsets[examples.rows][:, None]
    return np.where(inside, sequences.item_ids[np.maximum(indices, 0)], PADDING_ID).astype(np.int32)


def items_before(sequences: Sequences, examples: Examples) -> Callable[[int], np.ndarray]:
    """Return a function from an example's number to all items that its user has had before its position."""
    return lambda i: sequences.items_of(examples.rows[i])[: examples.positions[i]]


def unique_histories(sequences: Sequences, sets: CandidateSets, length: int) -> tuple[np.ndarray, np.ndarray]:
    """[E, length] histories of the distinct examples of R sets, and [R] which of them each set has."""
    _, first, inverse = np.unique(sets.example_ids, return_index=True, return_inverse=True)
    return histories(sequences, of_candidate_sets(sequences, sets.select(first)), length), inverse
