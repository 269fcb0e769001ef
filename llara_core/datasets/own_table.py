"""The reader of your own data: CSV or Parquet files whose columns params.yaml names."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from llara_core.datasets.catalogue import drop_untitled, titled_catalogue
from llara_core.datasets.log import COLUMNS, RawLog, Repairs
from llara_core.datasets.text_lines import existing
from llara_core.errors import DataError
from llara_core.params.datasets import OwnData, PartitionedData

_LARGEST_SECONDS = 10**11  # the year 5138; in milliseconds 1973
_MOST_UNTITLED = 0.01


def read_own_table(folder: Path, dataset: OwnData) -> RawLog:
    """Read the interactions file, and the items file if there is one, in `folder`.

    Interactions of items without a title are dropped and counted.

    Raises:
        DataError: a column is missing or of an unusable type, timestamps aren't times, or more than 1 % of the
            interactions have no title.
    """
    path = folder / dataset.interactions.name
    names = dataset.columns
    wanted = {"user": names.user, "item": names.item, "timestamp": names.timestamp}
    if names.rating is not None:
        wanted["rating"] = names.rating
    if dataset.items is None:
        wanted["title"] = names.title
    table = _select(path, dataset.source, wanted)
    if dataset.items is None:
        titled = table.select(["item", "title"])
    else:
        titled = _select(folder / dataset.items.name, dataset.source, {"item": names.item, "title": names.title})
    for name in ("user", "item"):
        table = table.set_column(table.column_names.index(name), name, _ids(path, wanted[name], table[name]))
    ratings = pa.nulls(len(table), pa.float32())
    if names.rating is not None:
        ratings = _ratings(path, names.rating, table["rating"])
    timestamps, repairs = _seconds(path, names.timestamp, table["timestamp"])
    log = pa.table([table["user"], table["item"], ratings, timestamps], names=COLUMNS)
    ids, titles, changes = titled_catalogue(
        _ids(path, names.item, titled["item"]), _texts(path, names.title, titled["title"])
    )
    log, dropped = drop_untitled(path, log, "item", ids, _MOST_UNTITLED)
    return RawLog(log, ids, titles, repairs={**repairs, **dropped, **changes})


def read_catalogue(folder: Path, dataset: PartitionedData) -> tuple[pa.Array, list[str], Repairs]:
    """Read the items file in `folder`: unique raw ids in ascending order, clean titles, and what was mended.

    Raises:
        DataError: as `read_own_table`.
    """
    path, names = folder / dataset.items.name, dataset.columns
    titled = _select(path, "parquet", {"item": names.item, "title": names.title})
    return titled_catalogue(_ids(path, names.item, titled["item"]), _texts(path, names.title, titled["title"]))


def _select(path: Path, source: str, wanted: dict[str, str]) -> pa.Table:
    try:
        table = pacsv.read_csv(existing(path)) if source == "csv" else pq.read_table(existing(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not readable as {source}: {error}") from error
    if missing := [column for column in wanted.values() if column not in table.column_names]:
        raise DataError(f"{path}: must have the columns {', '.join(missing)}, found {', '.join(table.column_names)}")
    return pa.table([table[column] for column in wanted.values()], names=list(wanted))


def _ids(path: Path, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids as int64 or string.

    Raises:
        DataError: they are missing, negative, or of another type.
    """
    if values.null_count:
        raise DataError(f"{path}: column {column} must have an id in every row, got {values.null_count} without")
    if pa.types.is_integer(values.type):
        if len(values) and (smallest := pc.min(values).as_py()) < 0:
            raise DataError(f"{path}: column {column} must hold ids ≥ 0, got {smallest}")
        return pc.cast(values, pa.int64())
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        texts = pc.cast(values, pa.string())
        if empty := pc.sum(pc.match_substring_regex(texts, r"^\s*$")).as_py():
            raise DataError(f"{path}: column {column} must have an id in every row, got {empty} empty ones")
        return texts
    raise DataError(f"{path}: column {column} must hold whole numbers or texts, got {values.type}")


def _ratings(path: Path, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_null(values.type)):
        raise DataError(f"{path}: column {column} must hold numbers, got {values.type}")
    return pc.cast(values, pa.float32())


def _texts(path: Path, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Titles as string; numbers may be titles too ("1984").

    Raises:
        DataError: they are neither, or not UTF-8.
    """
    if pa.types.is_binary(values.type):
        raise DataError(f"{path}: column {column} must be UTF-8 text, got other bytes; convert the file's encoding")
    try:
        return pc.cast(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{path}: column {column} must hold texts, got {values.type}") from error


def _seconds(path: Path, column: str, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, dict[str, int]]:
    """Seconds since 1970 from seconds, milliseconds (told by their size) or dates, and what was converted."""
    if values.null_count:
        raise DataError(f"{path}: column {column} must have a time in every row, got {values.null_count} without")
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        seconds = pc.cast(pc.cast(values, pa.timestamp("s"), safe=False), pa.int64())
        return seconds, {"dates_converted_to_seconds": len(values)}
    if pa.types.is_floating(kind):
        values = pc.cast(pc.floor(values), pa.int64())
    elif not pa.types.is_integer(kind):
        raise DataError(f"{path}: column {column} must hold seconds, milliseconds or dates, got {kind}")
    values = pc.cast(values, pa.int64())
    if len(values) and pc.min(values).as_py() > _LARGEST_SECONDS:
        return pc.divide(values, 1000), {"milliseconds_converted_to_seconds": len(values)}
    if len(values) and pc.max(values).as_py() > _LARGEST_SECONDS:
        raise DataError(f"{path}: column {column} must hold times of one unit, got seconds and milliseconds")
    return values, {}
