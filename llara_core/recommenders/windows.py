"""Training windows: planned as three numbers each, and cut out of the stored sequences only when a batch needs them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from llara_core.errors import DataError
from llara_core.tables.items import PADDING_ID

_POOL = 64  # batches whose windows are sorted by length together: enough to waste little, few enough to stay shuffled


@dataclass(frozen=True)
class TrainingSequences:
    """S sequences inside one flat array, which isn't copied.

    Attributes:
        item_ids: [N] ids in 1..n_items of all interactions.
        starts: [S] int64 where each sequence begins.
        ends: [S] int64 where it ends.
        n_items: size of the item table, without padding.
    """

    item_ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    n_items: int

    def __post_init__(self) -> None:
        """Refuse what can't be trained on."""
        if not len(self.starts):
            raise DataError("training must have at least one sequence of two items, got none")
        lengths = self.ends - self.starts
        if lengths.min() < 2:
            shortest = int(lengths.argmin())
            raise DataError(
                f"training sequences must have at least 2 items, got {lengths[shortest]} in sequence {shortest}"
            )
        low, high = int(self.item_ids.min()), int(self.item_ids.max())
        if low < 1 or high > self.n_items:
            raise DataError(f"item ids must lie in the item table 1..{self.n_items}, got {low}..{high}")

    @property
    def n_targets(self) -> int:
        """Number of positions that are a target once in every epoch."""
        return int((self.ends - self.starts - 1).sum())


@dataclass(frozen=True)
class Windows:
    """W windows: items `starts` to `ends` of the flat array, of which those from `targets` on are targets."""

    starts: np.ndarray
    targets: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.starts)

    @property
    def lengths(self) -> np.ndarray:
        """[W] number of inputs: all items but the last."""
        return self.ends - self.starts - 1


def plan_windows(sequences: TrainingSequences, length: int, overlap: int, generator: np.random.Generator) -> Windows:
    """Divide every sequence at a random offset into windows of up to `length` targets.

    Each item after a sequence's first is a target once. Up to `overlap` items more than a window's targets need stand
    before them as inputs. A new offset every epoch shows each target with contexts of every length.
    """
    n_targets = sequences.ends - sequences.starts - 1
    offsets = generator.integers(length, size=len(n_targets))
    counts = -(-(n_targets + offsets) // length)
    row = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = 1 - offsets[row] + nth * length  # may lie before the sequence
    targets = np.maximum(first, 1)
    ends = np.minimum(first + length, n_targets[row] + 1)
    begin = np.maximum(targets - 1 - overlap, 0)
    origin = sequences.starts[row]
    return Windows(origin + begin, origin + targets, origin + ends)


def plan_batches(windows: Windows, positions: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Divide the shuffled windows into batches of about `positions` inputs, each of windows of similar length.

    Returns:
        row numbers of `windows`, each once, by batch.
    """
    order, lengths = generator.permutation(len(windows)), windows.lengths
    pool = max(1, _POOL * positions // max(int(lengths.max()), 1))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        filled = np.cumsum(lengths[rows])
        count = -(-int(filled[-1]) // positions)
        # Even shares, so that no optimiser step rests on a remainder of few windows.
        cuts = np.searchsorted(filled, filled[-1] * np.arange(1, count) / count)
        batches += [part for part in np.split(rows, cuts) if len(part)]
    return [batches[i] for i in generator.permutation(len(batches))]


def cut_windows(sequences: TrainingSequences, windows: Windows, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets [B, T] int64 of the given windows, padded on the right with 0 to the longest of them.

    A position that is only context has target 0.
    """
    starts, ends = windows.starts[rows, None], windows.ends[rows, None]
    place = starts + np.arange(int(windows.lengths[rows].max()) + 1)
    items = np.where(place < ends, sequences.item_ids[np.minimum(place, ends - 1)], PADDING_ID).astype(np.int64)
    targets = np.where(place >= windows.targets[rows, None], items, PADDING_ID)
    # The last item of each window is a target only; as an input it would cost a position without a target.
    inputs = np.where(place < ends - 1, items, PADDING_ID)
    return inputs[:, :-1], targets[:, 1:]


def look_ahead(targets: np.ndarray, share: float, reach: int, generator: np.random.Generator) -> np.ndarray:
    """Replace a random share of targets [B, T] by the item 2 to `reach` steps ahead, but none beyond the row's last.

    The order of neighbours is partly chance (half of MovieLens' ratings share their second with the one before), so a
    state should tell what comes soon and not only what comes next. A sampled form of PinnerFormer's dense all action
    loss (Pancha et al., KDD 2022, https://arxiv.org/abs/2205.04507). What a row gets depends on its number and its
    targets alone, not on the padding that longer rows bring.
    """
    # One column after another, so that how far the batch is padded changes no row's draws.
    far, which = generator.spawn(2)
    columns_first = targets.shape[::-1]
    steps = far.integers(1, reach, size=columns_first) * (which.random(columns_first) < share)
    is_target = targets != PADDING_ID
    last = targets.shape[1] - 1 - np.argmax(is_target[:, ::-1], axis=1, keepdims=True)
    place = np.minimum(np.arange(targets.shape[1]) + steps.T, last)
    return np.where(is_target, np.take_along_axis(targets, place, axis=1), targets)


def epoch_batches(
    sequences: TrainingSequences, length: int, overlap: int, positions: int, seed: int, epoch: int, skip: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield inputs, targets and the number of batches of the epoch, which (seed, epoch) alone decide.

    Args:
        sequences: what to train on.
        length: targets per window.
        overlap: items of context before them.
        positions: inputs per batch, about.
        seed: of offsets and order.
        epoch: 1, 2, …
        skip: batches to leave out at the beginning, when training goes on inside an epoch.
    """
    generator = np.random.default_rng([seed, epoch])
    windows = plan_windows(sequences, length, overlap, generator)
    batches = plan_batches(windows, positions, generator)
    for rows in batches[skip:]:
        yield *cut_windows(sequences, windows, rows), len(batches)
