"""item_embeddings.parquet: the recommender's item vectors, the source of behavioural tokens."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from llara_core.errors import ArtifactError
from llara_core.tables.lineage import Lineage, digest_of, require_lineage
from llara_core.tables.parquet import read_stamped, require_schema, write_table


@dataclass(frozen=True)
class ItemEmbeddings:
    """A vector for every item.

    Attributes:
        vectors: [n + 1, D] float32 by item id; row 0, padding, is zero.
        made_from: digests of items, sequences and recommender.
    """

    vectors: np.ndarray
    made_from: Lineage

    @property
    def dim(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the vectors."""
        return digest_of(self.vectors)


def _schema(dim: int) -> pa.Schema:
    return pa.schema([("item_id", pa.int32()), ("embedding", pa.list_(pa.float32(), dim))])


def write_embeddings(path: Path, embeddings: ItemEmbeddings) -> None:
    """Write the vectors without the padding's."""
    n = len(embeddings.vectors) - 1
    flat = pa.array(embeddings.vectors[1:].astype(np.float32).reshape(-1))
    columns = [np.arange(1, n + 1, dtype=np.int32), pa.FixedSizeListArray.from_arrays(flat, embeddings.dim)]
    write_table(path, pa.table(columns, schema=_schema(embeddings.dim)), embeddings.made_from)


def read_embeddings(path: Path, made_from: Lineage, n_items: int) -> ItemEmbeddings:
    """Read the vectors of `n_items` items, which must be made from `made_from` or more.

    Raises:
        ArtifactError: the file is missing or damaged, was made from something else, has another count, holds a value
            that is not finite, or nothing but zeros.
    """
    table, found = read_stamped(path)
    dim = next((field.type.list_size for field in table.schema if pa.types.is_fixed_size_list(field.type)), 1)
    require_schema(path, table, _schema(dim))
    require_lineage(path, found, made_from)
    if not np.array_equal(table["item_id"].to_numpy(), np.arange(1, n_items + 1)):
        raise ArtifactError(f"{path}: item_id must run from 1 to {n_items}, got {len(table)} rows")
    vectors = table["embedding"].combine_chunks().values.to_numpy().reshape(n_items, dim)
    if not np.isfinite(vectors).all():
        raise ArtifactError(f"{path}: embeddings must be finite, row {int(np.argmin(np.isfinite(vectors).all(1)))}")
    if not vectors.any():
        raise ArtifactError(f"{path}: embeddings must tell items apart, got zeros alone")
    return ItemEmbeddings(np.concatenate([np.zeros_like(vectors[:1]), vectors]), found)
