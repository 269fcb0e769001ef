"""Reading and writing one Parquet table: schema check, checksums, zstd, atomic, and the same bytes every time."""

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from llara_core.errors import ArtifactError
from llara_core.runtime.files import atomic_file
from llara_core.tables.lineage import Lineage

SCHEMA_VERSION = "2"
_ROW_GROUP = 1 << 17
_VERSION, _MADE_FROM = "llara.schema_version", "llara.made_from"


def write_table(path: Path, table: pa.Table, made_from: Mapping[str, str]) -> None:
    """Write `table`, stamped with the schema version and the digests of what it was made from."""
    metadata = {_VERSION: SCHEMA_VERSION, _MADE_FROM: json.dumps(dict(made_from), sort_keys=True)}
    with atomic_file(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(metadata),
            temporary,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            write_page_checksum=True,
        )


def read_table(path: Path, schema: pa.Schema) -> tuple[pa.Table, Lineage]:
    """Return the table at `path`, whose columns must be `schema`'s, and what it was made from.

    Raises:
        ArtifactError: the file is missing, damaged, of another schema version or schema, or a value is missing.
    """
    table, made_from = read_stamped(path)
    require_schema(path, table, schema)
    return table, made_from


def read_stamped(path: Path) -> tuple[pa.Table, Lineage]:
    """Return the table at `path` with whatever columns it has, and what it was made from.

    Raises:
        ArtifactError: the file is missing, damaged or of another schema version.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; run `dvc repro` to produce it")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        _ = table.column_names  # names that are no text fail here
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        version, made_from = metadata.get(_VERSION), json.loads(metadata.get(_MADE_FROM, "{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable Parquet file: {str(error).splitlines()[0]}") from error
    if version != SCHEMA_VERSION:
        raise ArtifactError(f"{path}: schema version must be {SCHEMA_VERSION}, got {version}")
    return table.replace_schema_metadata(), made_from


def require_schema(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    """Refuse a table that has other columns, or an empty place in one.

    Raises:
        ArtifactError: naming what was expected and found.
    """
    if not table.schema.equals(schema):
        found = ", ".join(f"{field.name} {field.type}" for field in table.schema)
        expected = ", ".join(f"{field.name} {field.type}" for field in schema)
        raise ArtifactError(f"{path}: columns must be {expected}; got {found}")
    for name in schema.names:
        column = table[name].combine_chunks()
        if column.null_count or (isinstance(column, pa.ListArray) and column.values.null_count):
            raise ArtifactError(f"{path}: {name} must have a value in every row, got an empty one")
