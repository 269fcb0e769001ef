"""candidates.parquet: the fixed candidate sets that every model is asked about.

There are two collections, `scope`: lists of every user's last position (the paper's), and of a sample of all positions.
"""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import pyarrow as pa

from llara_core.errors import ArtifactError
from llara_core.tables.items import Items
from llara_core.tables.lineage import Lineage, digest_of, require_lineage
from llara_core.tables.parquet import read_table, write_table
from llara_core.tables.sequences import SPLITS, Sequences

Scope = Literal["last", "all"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
SCHEMA = pa.schema(
    [
        ("example_id", pa.int32()),
        ("draw", pa.int32()),
        ("user_id", pa.int32()),
        ("split", pa.string()),
        ("scope", pa.string()),
        ("position", pa.int32()),
        ("target", pa.int32()),
        ("candidates", pa.list_(pa.int32())),
    ]
)


@dataclass(frozen=True)
class CandidateSets:
    """R candidate sets of C items; one example (a user's position) has one set per draw.

    Attributes:
        example_ids, draws, user_ids, positions, targets: [R] int32; position is the target's index in the sequence.
        splits: [R] the split of the user.
        scopes: [R] "last" for lists of users' last positions, "all" for those of a sample of all positions.
        candidates: [R, C] int32, distinct within a row, the target among them.
    """

    example_ids: np.ndarray
    draws: np.ndarray
    user_ids: np.ndarray
    splits: np.ndarray
    scopes: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    candidates: np.ndarray

    def __len__(self) -> int:
        """Return the number of candidate sets."""
        return len(self.targets)

    def names(self) -> list[str]:
        """[R] what errors call them."""
        parts = zip(self.splits, self.user_ids, self.positions, self.draws, strict=True)
        return [
            f"the {split} prompt of user {user} at position {place}, draw {draw}," for split, user, place, draw in parts
        ]

    def select(self, rows: np.ndarray) -> Self:
        """Return the sets at `rows` (indices or a mask)."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def of(self, split: str, scope: Scope = "last", n_draws: int | None = None) -> Self:
        """Return the sets of `split` and `scope`, only the first `n_draws` of each example where given."""
        wanted = (self.splits == split) & (self.scopes == scope)
        return self.select(wanted if n_draws is None else wanted & (self.draws < n_draws))

    @property
    def target_indices(self) -> np.ndarray:
        """[R] where in its row of candidates the target stands."""
        return np.argmax(self.candidates == self.targets[:, None], axis=1)

    def ranks(self, scores: np.ndarray) -> np.ndarray:
        """[R] rank of each target by scores [R, C] of the candidates, as `target_ranks` has it."""
        return target_ranks(scores, self.target_indices)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of every list and whom it asks."""
        numbers = (self.example_ids, self.draws, self.user_ids, self.positions, self.targets, self.candidates)
        columns = [column.astype(np.int32) for column in numbers]
        texts = (pa.array(names.astype(object), pa.string()) for names in (self.splits, self.scopes))
        return digest_of(*texts, *columns)

    def with_negatives(self, negatives: np.ndarray) -> Self:
        """Return the same lists with other negatives [R, C - 1], in order in the places that aren't the target's."""
        candidates = self.candidates.copy()
        candidates[candidates != self.targets[:, None]] = negatives.reshape(-1)
        return replace(self, candidates=candidates)

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """Join sets of the same size."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def target_ranks(scores: np.ndarray, target_indices: np.ndarray) -> np.ndarray:
    """[R] 1-based rank of column target_indices[i] in row i of scores [R, C]; ties, and NaN, count against it."""
    own = np.take_along_axis(scores, target_indices[:, None], axis=1)
    return (~(scores < own)).sum(axis=1)


def write_candidates(path: Path, sets: CandidateSets, items: Items, sequences: Sequences) -> None:
    """Write candidates.parquet, which asks about `items` and positions of `sequences`."""
    write_table(path, table_of(sets), {"items": items.digest, "sequences": sequences.digest})


def read_candidates(path: Path, items: Items, sequences: Sequences) -> CandidateSets:
    """Read candidates.parquet.

    Raises:
        ArtifactError: it is missing or damaged, was drawn for other items or sequences, or a row breaks the contract.
    """
    return read_with_lineage(path, items, sequences)[0]


def read_with_lineage(path: Path, items: Items, sequences: Sequences) -> tuple[CandidateSets, Lineage]:
    """Read as `read_candidates` does; return also all that the lists were made from."""
    table, made_from = read_table(path, SCHEMA)
    require_lineage(path, made_from, {"items": items.digest, "sequences": sequences.digest})
    sets = sets_of(path, table)
    outside = np.any((sets.candidates < 1) | (sets.candidates > len(items)), axis=1)
    _refuse(path, outside, f"candidates must lie in 1..{len(items)}, got {{}}", sets.candidates)
    require_sound_lists(path, sets)
    _check_examples(path, sets, sequences)
    return sets, made_from


def table_of(sets: CandidateSets) -> pa.Table:
    """Lay sets out as SCHEMA says."""
    columns = [
        sets.example_ids.astype(np.int32),
        sets.draws.astype(np.int32),
        sets.user_ids.astype(np.int32),
        pa.array(sets.splits.astype(object), pa.string()),
        pa.array(sets.scopes.astype(object), pa.string()),
        sets.positions.astype(np.int32),
        sets.targets.astype(np.int32),
        lists_of(sets.candidates),
    ]
    return pa.table(columns, schema=SCHEMA)


def sets_of(path: Path, table: pa.Table) -> CandidateSets:
    """Take sets from a table read from `path` that has SCHEMA's columns.

    Raises:
        ArtifactError: the lists are of several sizes, or of one below 2.
    """
    candidates = rows_of(path, table, "candidates")
    if candidates.shape[1] < 2:
        raise ArtifactError(f"{path}: candidates must have one size ≥ 2, got [{candidates.shape[1]}]")
    return CandidateSets(
        example_ids=table["example_id"].to_numpy(),
        draws=table["draw"].to_numpy(),
        user_ids=table["user_id"].to_numpy(),
        splits=table["split"].to_numpy(),
        scopes=table["scope"].to_numpy(),
        positions=table["position"].to_numpy(),
        targets=table["target"].to_numpy(),
        candidates=candidates,
    )


def lists_of(rows: np.ndarray, kind: pa.DataType | None = None) -> pa.ListArray:
    """Make a column of lists, by default of int32, of rows [R, C]."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.shape[1])
    return pa.ListArray.from_arrays(offsets, pa.array(rows.reshape(-1)).cast(kind or pa.int32()))


def rows_of(path: Path, table: pa.Table, name: str) -> np.ndarray:
    """[R, C] of a column of lists in a table read from `path`.

    Raises:
        ArtifactError: they differ in length, or there are none.
    """
    lists = table[name].combine_chunks()
    sizes = np.unique(np.diff(lists.offsets.to_numpy()))
    if len(sizes) != 1:
        raise ArtifactError(f"{path}: {name} must have one size in all rows, got {sizes.tolist()}")
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(table), sizes[0])


def require_sound_lists(path: Path, sets: CandidateSets) -> None:
    """Check each list by itself.

    Raises:
        ArtifactError: an item stands in a list twice, or the target doesn't stand in it.
    """
    ordered = np.sort(sets.candidates, axis=1)
    is_target = sets.candidates == sets.targets[:, None]
    broken = (is_target.sum(axis=1) != 1) | np.any(ordered[:, 1:] == ordered[:, :-1], axis=1)
    _refuse(path, broken, "candidates must be distinct and hold the target {} once", sets.targets)


def _check_examples(path: Path, sets: CandidateSets, sequences: Sequences) -> None:
    """Compare users, positions, splits and targets with the sequences."""
    rows = np.minimum(np.searchsorted(sequences.user_ids, sets.user_ids), len(sequences) - 1)
    is_stranger = sequences.user_ids[rows] != sets.user_ids
    _refuse(path, is_stranger, "user_id must be one of the sequences', got {}", sets.user_ids)
    is_misnamed = np.isin(sets.splits.astype(object), SPLITS, invert=True)
    _refuse(path, is_misnamed, f"split must be one of {', '.join(SPLITS)}, got {{}}", sets.splits)
    is_misnamed = np.isin(sets.scopes.astype(object), SCOPES, invert=True)
    _refuse(path, is_misnamed, f"scope must be one of {', '.join(SCOPES)}, got {{}}", sets.scopes)
    for split in SPLITS:
        first, end = (bound[rows] for bound in sequences.segment(split))
        is_outside = (sets.splits == split) & ((sets.positions < np.maximum(first, 1)) | (sets.positions >= end))
        expected = f"position must be one of the user's in {split} with an item before it, got {{}}"
        _refuse(path, is_outside, expected, sets.positions)
    is_another = sequences.item_ids[sequences.offsets[rows] + sets.positions] != sets.targets
    _refuse(path, is_another, "target must be the user's item at the position, got {}", sets.targets)
    # What all rules for negatives leave out; which of them was taken, the table doesn't say.
    before = sequences.item_ids[sequences.offsets[rows] + sets.positions - 1]
    is_had = np.any(sets.candidates == np.where(before == sets.targets, 0, before)[:, None], axis=1)
    _refuse(path, is_had, "candidates must not hold the item right before the target, got {}", before)
    _check_draws(path, sets)
    asked = np.stack([sets.example_ids, sets.scopes == "all", rows, sets.positions], axis=1)
    n_examples = len(np.unique(sets.example_ids))
    if len(np.unique(asked, axis=0)) != n_examples or len(np.unique(asked[:, 1:], axis=0)) != n_examples:
        raise ArtifactError(f"{path}: an example_id must mean one position of one user, and no other mean the same")
    for split, scope in product(SPLITS, SCOPES):
        _, draws = np.unique(sets.of(split, scope).example_ids, return_counts=True)
        if len(counts := np.unique(draws)) > 1:
            raise ArtifactError(
                f"{path}: every example of {split}, {scope} positions, must have as many draws, got {counts.tolist()}"
            )


def _check_draws(path: Path, sets: CandidateSets) -> None:
    """Every example's draws must count from 0: `of` takes the first so many of each."""
    order = np.lexsort((sets.draws, sets.example_ids))
    examples, draws = sets.example_ids[order], sets.draws[order]
    starts = np.flatnonzero(np.diff(examples, prepend=examples[:1] - 1))
    expected = np.arange(len(draws)) - np.repeat(starts, np.diff(starts, append=len(draws)))
    if (wrong := draws != expected).any():
        place = int(np.argmax(wrong))
        raise ArtifactError(
            f"{path}: an example's draws must be 0, 1, 2, … once each, got {draws[place]} where {expected[place]} was "
            f"due in example {examples[place]}"
        )


def _refuse(path: Path, broken: np.ndarray, message: str, values: np.ndarray) -> None:
    """Name the first of the rows that are `broken` [R], and its value."""
    if broken.any():
        row = int(np.argmax(broken))
        raise ArtifactError(f"{path}: row {row}: {message.format(values[row])}")
