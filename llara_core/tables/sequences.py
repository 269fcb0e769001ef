"""sequences.parquet: every user's items in chronological order, stored once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from llara_core.errors import ArtifactError
from llara_core.tables.items import Items
from llara_core.tables.lineage import digest_of, require_lineage
from llara_core.tables.parquet import read_table, write_table

_USERS_AT_ONCE = 1 << 13
SPLITS = ("train", "validation", "test")
SCHEMA = pa.schema(
    [
        ("user_id", pa.int32()),
        ("raw_user_id", pa.string()),
        ("split", pa.string()),
        ("train_end", pa.int32()),
        ("validation_end", pa.int32()),
        ("item_ids", pa.list_(pa.int32())),
        ("timestamps", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True)
class Sequences:
    """U users' sequences, N interactions in all, stored flat.

    Attributes:
        user_ids: [U] int32, ascending.
        raw_user_ids: [U] ids of the raw data.
        train_end: [U] int32; items before it train.
        validation_end: [U] int32; items from train_end to before it validate, the rest test.
        offsets: [U + 1] int64; user u's interactions are offsets[u] to offsets[u + 1].
        item_ids: [N] int32.
        timestamps: [N] int64, seconds since 1970, ascending within a user.
    """

    user_ids: np.ndarray
    raw_user_ids: pa.StringArray
    train_end: np.ndarray
    validation_end: np.ndarray
    offsets: np.ndarray
    item_ids: np.ndarray
    timestamps: np.ndarray

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.user_ids)

    @cached_property
    def lengths(self) -> np.ndarray:
        """[U] interactions per user."""
        return np.diff(self.offsets)

    def segment(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """[U] start and [U] end of the positions that belong to `split`."""
        bounds = [np.zeros_like(self.train_end), self.train_end, self.validation_end, self.lengths]
        place = SPLITS.index(split)
        return bounds[place], bounds[place + 1]

    def rows_of(self, split: str) -> np.ndarray:
        """Rows of the users who have positions in `split`."""
        start, end = self.segment(split)
        return np.flatnonzero(end > start)

    @property
    def split_names(self) -> np.ndarray:
        """[U] the split of users who are wholly in one, else "several"."""
        names = np.full(len(self), "several", dtype=object)
        for split in SPLITS:
            start, end = self.segment(split)
            names[end - start == self.lengths] = split
        return names

    @cached_property
    def digest(self) -> str:
        """SHA-256 of who had what when, and of how it is split."""
        columns = (self.user_ids, self.train_end, self.validation_end, self.item_ids)
        whole = [column.astype(np.int32, copy=False) for column in columns]
        return digest_of(self.raw_user_ids, *whole, self.offsets.astype(np.int64), self.timestamps.astype(np.int64))

    def parts_of(self, split: str) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield parts of the flat interactions, and which of each are in `split`: whole masks would cost memory."""
        start, end = self.segment(split)
        for first in range(0, len(self), _USERS_AT_ONCE):
            users = slice(first, first + _USERS_AT_ONCE)
            lengths = self.lengths[users]
            begin = int(self.offsets[first])
            part = slice(begin, begin + int(lengths.sum()))
            place = np.arange(part.start, part.stop) - np.repeat(self.offsets[:-1][users], lengths)
            yield part, (np.repeat(start[users], lengths) <= place) & (place < np.repeat(end[users], lengths))

    def count_training(self, n_items: int) -> np.ndarray:
        """[n] int32 training interactions of each item."""
        counts = np.zeros(n_items + 1, dtype=np.int64)
        for part, mask in self.parts_of("train"):
            counts += np.bincount(self.item_ids[part][mask], minlength=n_items + 1)
        return counts[1:].astype(np.int32)

    def items_of(self, row: int) -> np.ndarray:
        """Item ids of the user in `row`, chronological."""
        return self.item_ids[self.offsets[row] : self.offsets[row + 1]]


def write_sequences(path: Path, sequences: Sequences, items: Items) -> None:
    """Write sequences.parquet, whose ids are those of `items`."""
    offsets = sequences.offsets.astype(np.int32)
    columns = [
        sequences.user_ids,
        sequences.raw_user_ids,
        pa.array(sequences.split_names, pa.string()),
        sequences.train_end,
        sequences.validation_end,
        pa.ListArray.from_arrays(offsets, sequences.item_ids.astype(np.int32, copy=False)),
        pa.ListArray.from_arrays(offsets, sequences.timestamps.astype(np.int64, copy=False)),
    ]
    write_table(path, pa.table(columns, schema=SCHEMA), {"items": items.digest})


def read_sequences(path: Path, items: Items) -> Sequences:
    """Read sequences.parquet.

    Raises:
        ArtifactError: it is missing or damaged, was made with other items, or breaks its contract.
    """
    table, made_from = read_table(path, SCHEMA)
    require_lineage(path, made_from, {"items": items.digest})
    item_ids, timestamps = table["item_ids"].combine_chunks(), table["timestamps"].combine_chunks()
    sequences = Sequences(
        user_ids=table["user_id"].to_numpy(),
        raw_user_ids=table["raw_user_id"].combine_chunks(),
        train_end=table["train_end"].to_numpy(),
        validation_end=table["validation_end"].to_numpy(),
        offsets=item_ids.offsets.to_numpy().astype(np.int64),
        item_ids=item_ids.values.to_numpy(),
        timestamps=timestamps.values.to_numpy(),
    )
    _check(path, sequences, timestamps.offsets.to_numpy(), len(items))
    if (named := table["split"].to_numpy()).tolist() != (names := sequences.split_names).tolist():
        row = int(np.argmax(named != names))
        raise ArtifactError(f"{path}: row {row}: split must be {names[row]} by its bounds, got {named[row]}")
    _check_popularity(path, sequences, items)
    return sequences


def _check(path: Path, sequences: Sequences, time_offsets: np.ndarray, n_items: int) -> None:
    if (np.diff(sequences.user_ids) <= 0).any():
        raise ArtifactError(f"{path}: user_id must ascend from row to row without repeats")
    if sequences.lengths.min(initial=1) < 1:
        raise ArtifactError(f"{path}: row {int(np.argmin(sequences.lengths))}: must have an item, got none")
    bounds = np.stack([sequences.train_end, sequences.validation_end, sequences.lengths])
    if bounds.min(initial=0) < 0 or (np.diff(bounds, axis=0) < 0).any():
        raise ArtifactError(f"{path}: must have 0 ≤ train_end ≤ validation_end ≤ length in every row")
    ids = sequences.item_ids
    if len(ids) and not 1 <= ids.min() <= ids.max() <= n_items:
        raise ArtifactError(f"{path}: item_ids must lie in 1..{n_items}, got {ids.min()}..{ids.max()}")
    if not np.array_equal(sequences.offsets, time_offsets):
        raise ArtifactError(f"{path}: must have one timestamp for every item of every row")
    falls = np.diff(sequences.timestamps) < 0
    falls[sequences.offsets[1:-1] - 1] = False  # from one user to the next
    if falls.any():
        row = int(np.searchsorted(sequences.offsets, np.argmax(falls), side="right")) - 1
        raise ArtifactError(f"{path}: row {row}: timestamps must not fall")


def _check_popularity(path: Path, sequences: Sequences, items: Items) -> None:
    counts = sequences.count_training(len(items))
    if (wrong := counts != items.n_train).any():
        item = int(np.argmax(wrong))
        raise ArtifactError(
            f"{path}: must have each item as often before train_end as the catalogue's n_train says, "
            f"item {item + 1} {items.n_train[item]} times, got {counts[item]}"
        )
