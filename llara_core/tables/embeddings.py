"""item_embeddings.parquet: the recommender's item vectors, the source of behavioural tokens."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from llara_core.errors import ArtifactError
from llara_core.tables.parquet import read_table, require_same_items, write_table


def _schema(dim: int) -> pa.Schema:
    return pa.schema([("item_id", pa.int32()), ("embedding", pa.list_(pa.float32(), dim))])


def write_embeddings(path: Path, embeddings: np.ndarray, items_digest: str) -> None:
    """Write `embeddings` [n + 1, D] without its padding row."""
    n, dim = len(embeddings) - 1, embeddings.shape[1]
    flat = pa.array(embeddings[1:].astype(np.float32).reshape(-1))
    columns = [np.arange(1, n + 1, dtype=np.int32), pa.FixedSizeListArray.from_arrays(flat, dim)]
    write_table(path, pa.table(columns, schema=_schema(dim)), items_digest)


def read_embeddings(path: Path, items_digest: str, n_items: int, dim: int) -> np.ndarray:
    """Return [n + 1, D] float32 embeddings by item id; row 0, padding, is zero.

    Raises:
        ArtifactError: other items, another count or dimension, or a value that is not finite.
    """
    table, digest = read_table(path, _schema(dim))
    require_same_items(path, digest, items_digest)
    if not np.array_equal(table["item_id"].to_numpy(), np.arange(1, n_items + 1)):
        raise ArtifactError(f"{path}: item_id must run from 1 to {n_items}, got {len(table)} rows")
    vectors = table["embedding"].combine_chunks().values.to_numpy().reshape(n_items, dim)
    if not np.isfinite(vectors).all():
        raise ArtifactError(f"{path}: embeddings must be finite, row {int(np.argmin(np.isfinite(vectors).all(1)))}")
    return np.concatenate([np.zeros((1, dim), dtype=np.float32), vectors])
