"""Cutting training sequences into windows, such that every position after a sequence's first is a target once."""

from collections.abc import Iterator

import numpy as np

from llara_core.errors import DataError


def cut_windows(sequences: list[np.ndarray], length: int, generator: np.random.Generator) -> np.ndarray:
    """Cut each sequence at a random offset into windows of `length` inputs and as many targets.

    Neighbouring windows share one item: the last target of one is the first input of the next. A new offset every epoch
    shows each target with contexts of every length.

    Returns:
        [W, length + 1] int64 item ids, padded on the right with 0; inputs are all but the last column, targets all but
        the first.

    Raises:
        DataError: no sequence has two items.
    """
    windows = []
    for items in sequences:
        starts = np.arange(-int(generator.integers(length)), len(items) - 1, length)
        windows += [items[max(0, start) : start + length + 1] for start in starts]
    windows = [window for window in windows if len(window) >= 2]
    if not windows:
        raise DataError("pretraining must have a training sequence of at least two items, got none")
    cut = np.zeros((len(windows), length + 1), dtype=np.int64)
    for row, window in zip(cut, windows, strict=True):
        row[: len(window)] = window
    return cut


def batches(windows: np.ndarray, size: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield shuffled batches of up to `size` windows, without columns that are padding in the whole batch."""
    order = generator.permutation(len(windows))
    for start in range(0, len(order), size):
        batch = windows[order[start : start + size]]
        yield batch[:, : int((batch != 0).sum(axis=1).max())]
