"""items.parquet: the catalogue."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llara_core.errors import ArtifactError
from llara_core.tables.lineage import digest_of
from llara_core.tables.parquet import read_table, write_table

PADDING_ID = 0
SCHEMA = pa.schema(
    [("item_id", pa.int32()), ("raw_item_id", pa.string()), ("title", pa.string()), ("n_train", pa.int32())]
)


@dataclass(frozen=True)
class Items:
    """The catalogue of n items; row i is the item with id i + 1, for id 0 is padding.

    Attributes:
        raw_item_ids: [n] ids of the raw data.
        titles: [n] non-empty, unique, of one line.
        n_train: [n] interactions of the training users.
    """

    raw_item_ids: pa.StringArray
    titles: pa.StringArray
    n_train: np.ndarray

    def __post_init__(self) -> None:
        """Check the contract."""
        if not len(self.raw_item_ids) == len(self.titles) == len(self.n_train):
            raise ArtifactError(
                f"items must have columns of one length, got {len(self.raw_item_ids)}, {len(self.titles)} "
                f"and {len(self.n_train)}"
            )
        if pc.any(pc.equal(pc.utf8_length(self.titles), 0)).as_py() or self.titles.null_count:
            raise ArtifactError("items.title must not be empty")
        # Or a title could end the line, or an answer, that it stands in.
        broken = self.titles.filter(pc.match_substring_regex(self.titles, r"[\p{C}\p{Zl}\p{Zp}]"))
        if len(broken):
            raise ArtifactError(f"items.title must be one line without control characters, got {broken[0].as_py()!r}")
        if (distinct := pc.count_distinct(self.titles).as_py()) != len(self.titles):
            raise ArtifactError(f"items.title must be unique, got {distinct} distinct of {len(self.titles)}")

    def __len__(self) -> int:
        """Return the number of items, without padding."""
        return len(self.titles)

    @cached_property
    def titles_by_id(self) -> list[str]:
        """[n + 1] titles, such that index 0 is the padding's empty one."""
        return ["", *self.titles.to_pylist()]

    @cached_property
    def popularity(self) -> np.ndarray:
        """[n + 1] training interactions by item id; padding has 0."""
        return np.concatenate(([0], self.n_train))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of which id means which raw item and title, and of how often each was in training."""
        return digest_of(self.raw_item_ids, self.titles, self.n_train.astype(np.int32))


def write_items(path: Path, items: Items) -> None:
    """Write items.parquet."""
    columns = [np.arange(1, len(items) + 1, dtype=np.int32), items.raw_item_ids, items.titles, items.n_train]
    write_table(path, pa.table(columns, schema=SCHEMA), {})


def read_items(path: Path) -> Items:
    """Read items.parquet and check ids and titles."""
    table, _ = read_table(path, SCHEMA)
    ids = table["item_id"].to_numpy()
    if not np.array_equal(ids, np.arange(1, len(ids) + 1)):
        raise ArtifactError(f"{path}: item_id must run from 1 to {len(ids)} without gaps")
    raw, titles = table["raw_item_id"].combine_chunks(), table["title"].combine_chunks()
    return Items(raw, titles, table["n_train"].to_numpy())
