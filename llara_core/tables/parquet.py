"""Reading and writing one Parquet table: schema check on both sides, zstd, atomic, the same bytes every time."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from llara_core.errors import ArtifactError
from llara_core.runtime.files import atomic_file

SCHEMA_VERSION = "1"
_ROW_GROUP = 1 << 17


def write_table(path: Path, table: pa.Table, items_digest: str) -> None:
    """Write `table`, stamped with the schema version and the digest of the item table that its ids refer to."""
    metadata = {"llara.schema_version": SCHEMA_VERSION, "llara.items_digest": items_digest}
    with atomic_file(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(metadata), temporary, compression="zstd", row_group_size=_ROW_GROUP
        )


def read_table(path: Path, schema: pa.Schema) -> tuple[pa.Table, str]:
    """Return the table at `path` and its items digest.

    Raises:
        ArtifactError: the file is missing, unreadable, of another schema version or of another schema.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; run `dvc repro` to produce it")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ArtifactError(f"{path}: not a readable Parquet file: {error}") from error
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if (version := metadata.get("llara.schema_version")) != SCHEMA_VERSION:
        raise ArtifactError(f"{path}: schema version must be {SCHEMA_VERSION}, got {version}")
    if not table.schema.remove_metadata().equals(schema):
        found = ", ".join(f"{field.name} {field.type}" for field in table.schema)
        expected = ", ".join(f"{field.name} {field.type}" for field in schema)
        raise ArtifactError(f"{path}: columns must be {expected}; got {found}")
    return table, metadata["llara.items_digest"]


def require_same_items(path: Path, found: str, expected: str) -> None:
    """Refuse an artifact whose ids refer to another item table.

    Raises:
        ArtifactError: when `found`, the digest stored at `path`, isn't the `expected` one of items.parquet.
    """
    if found != expected:
        raise ArtifactError(
            f"{path}: belongs to another item table: digest must be {expected[:12]}…, got {found[:12]}…; "
            "rerun the stage that wrote it"
        )
