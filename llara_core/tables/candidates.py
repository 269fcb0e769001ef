"""candidates.parquet: the fixed candidate sets that every model is asked about."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from llara_core.errors import ArtifactError
from llara_core.tables.parquet import read_table, require_same_items, write_table

SCHEMA = pa.schema(
    [
        ("example_id", pa.int32()),
        ("draw", pa.int32()),
        ("user_id", pa.int32()),
        ("split", pa.string()),
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
        candidates: [R, C] int32, distinct within a row, the target among them.
    """

    example_ids: np.ndarray
    draws: np.ndarray
    user_ids: np.ndarray
    splits: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    candidates: np.ndarray

    def __len__(self) -> int:
        """Return the number of candidate sets."""
        return len(self.targets)

    def select(self, rows: np.ndarray) -> Self:
        """Return the sets at `rows` (indices or a mask)."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def of(self, split: str, n_draws: int | None = None) -> Self:
        """Return the sets of `split`, only the first `n_draws` of each example where given."""
        wanted = self.splits == split
        return self.select(wanted if n_draws is None else wanted & (self.draws < n_draws))

    @property
    def target_indices(self) -> np.ndarray:
        """[R] where in its row of candidates the target stands."""
        return np.argmax(self.candidates == self.targets[:, None], axis=1)

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """Join sets of the same size."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


def write_candidates(path: Path, sets: CandidateSets, items_digest: str) -> None:
    """Write candidates.parquet."""
    rows, size = sets.candidates.shape
    lists = pa.ListArray.from_arrays(
        np.arange(0, rows * size + 1, size, dtype=np.int32), sets.candidates.reshape(-1).astype(np.int32)
    )
    columns = [
        sets.example_ids.astype(np.int32),
        sets.draws.astype(np.int32),
        sets.user_ids.astype(np.int32),
        pa.array(sets.splits.astype(object), pa.string()),
        sets.positions.astype(np.int32),
        sets.targets.astype(np.int32),
        lists,
    ]
    write_table(path, pa.table(columns, schema=SCHEMA), items_digest)


def read_candidates(path: Path, items_digest: str) -> CandidateSets:
    """Read candidates.parquet; every row must hold its target once, no item twice, and as many as the others."""
    table, digest = read_table(path, SCHEMA)
    require_same_items(path, digest, items_digest)
    lists = table["candidates"].combine_chunks()
    sizes = np.unique(np.diff(lists.offsets.to_numpy()))
    if len(sizes) != 1:
        raise ArtifactError(f"{path}: candidates must have one size, got {sizes.tolist()}")
    candidates = lists.values.to_numpy().reshape(len(table), sizes[0])
    targets = table["target"].to_numpy()
    ordered = np.sort(candidates, axis=1)
    broken = ((candidates == targets[:, None]).sum(axis=1) != 1) | (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if broken.any():
        row = int(np.argmax(broken))
        raise ArtifactError(f"{path}: row {row}: candidates must be distinct and hold the target {targets[row]} once")
    return CandidateSets(
        example_ids=table["example_id"].to_numpy(),
        draws=table["draw"].to_numpy(),
        user_ids=table["user_id"].to_numpy(),
        splits=table["split"].to_numpy(),
        positions=table["position"].to_numpy(),
        targets=targets,
        candidates=candidates,
    )
