"""rankings.parquet: what came next after many histories, a row for each of them and each model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from llara_core.errors import ArtifactError
from llara_core.tables.lineage import Lineage, require_lineage
from llara_core.tables.parquet import read_table, write_table

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("model", pa.string()),
        ("item_ids", pa.list_(pa.int32())),
        ("titles", pa.list_(pa.string())),
        ("scores", pa.list_(pa.float32())),
        ("probabilities", pa.list_(pa.float32())),
        ("not_in_catalogue", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class RankingRow:
    """One model's ranking after one history, the best first; and the history's titles that the catalogue lacks."""

    name: str
    model: str
    item_ids: Sequence[int]
    titles: Sequence[str]
    scores: Sequence[float]
    probabilities: Sequence[float]
    not_in_catalogue: Sequence[str]


def rankings_table(rows: Sequence[RankingRow]) -> pa.Table:
    """Lay rows out as SCHEMA says."""
    columns = zip(*(vars(row).values() for row in rows), strict=True)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )


def write_rankings(path: Path, table: pa.Table, made_from: Lineage) -> None:
    """Write a table of SCHEMA, whole or not at all."""
    write_table(path, table, made_from)


def read_rankings(path: Path, made_from: Lineage) -> pa.Table:
    """Read what `write_rankings` wrote, made from `made_from` or more.

    Raises:
        ArtifactError: it is missing or damaged, or was made from something else.
    """
    table, found = read_table(path, SCHEMA)
    require_lineage(path, found, made_from)
    return table


def kept_rankings(path: Path, made_from: Lineage) -> pa.Table | None:
    """Read a part of an interrupted run; None if there is none that is whole and of this run."""
    try:
        return read_rankings(path, made_from) if path.is_file() else None
    except ArtifactError:
        return None
