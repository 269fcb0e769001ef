"""A Parquet file of anybody's, with histories to recommend after: what is read of it, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llara_core.errors import RequestError

_ID, _HISTORY, _CANDIDATES = "id", "history", "candidates"


@dataclass(frozen=True)
class HistoryRow:
    """One row: titles or item ids, as the file has them; `candidates` is None where there are none."""

    name: str
    history: Sequence[str | int]
    candidates: Sequence[str | int] | None


def read_histories(path: Path) -> list[HistoryRow]:
    """Read rows.

    Columns are

    - `history`: a list of titles (strings) or of item ids (integers), the latest last;
    - `id` (may be absent): a string or an integer that names the row, unique; else its number, from 0;
    - `candidates` (may be absent, or empty in some rows): a list as `history` is.

    Raises:
        RequestError: naming file, row and field, what was expected and what was found.
    """
    table = _read(path)
    expected = (_ID, _HISTORY, _CANDIDATES)
    if strange := [name for name in table.column_names if name not in expected]:
        raise RequestError(f"{path}: columns must be among {', '.join(expected)}, got {strange[0]}")
    if _HISTORY not in table.column_names:
        raise RequestError(f"{path}: must have a column {_HISTORY}, got {', '.join(table.column_names) or 'none'}")
    names = _names(path, table)
    histories = _lists(path, table, _HISTORY)
    for row, items in enumerate(histories):
        if not items:
            raise RequestError(f"{path}: row {row}: {_HISTORY} must have at least one title or item id, got none")
    has_candidates = _CANDIDATES in table.column_names
    candidates = _lists(path, table, _CANDIDATES) if has_candidates else [None] * len(table)
    return [HistoryRow(*row) for row in zip(names, histories, candidates, strict=True)]  # type: ignore[arg-type]


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise RequestError(f"{path}: must be a Parquet file with histories, got no such file")
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RequestError(f"{path}: must be a Parquet file with histories: {str(error).splitlines()[0]}") from error
    if not len(table):
        raise RequestError(f"{path}: must have a row, got none")
    return table


def _names(path: Path, table: pa.Table) -> list[str]:
    if _ID not in table.column_names:
        return [str(row) for row in range(len(table))]
    kind = table[_ID].type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise RequestError(f"{path}: {_ID} must be of strings or integers, got {kind}")
    seen: dict[object, int] = {}
    for row, value in enumerate(table[_ID].to_pylist()):
        if value is None:
            raise RequestError(f"{path}: row {row}: {_ID} must have a value, got none")
        if (first := seen.setdefault(value, row)) != row:
            raise RequestError(f"{path}: row {row}: {_ID} must be unique, got {value!r}, as in row {first}")
    return [str(value) for value in seen]


def _lists(path: Path, table: pa.Table, name: str) -> list[list[str | int] | None]:
    kind = table[name].type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    inner = kind.value_type if is_list else None
    is_text = inner is not None and (pa.types.is_string(inner) or pa.types.is_large_string(inner))
    if inner is None or not (is_text or pa.types.is_integer(inner) or pa.types.is_null(inner)):
        raise RequestError(f"{path}: {name} must be of lists of strings (titles) or integers (item ids), got {kind}")
    rows: list[list[str | int] | None] = table[name].to_pylist()
    if pc.any(pc.is_null(pc.list_flatten(table[name]))).as_py():
        row = next(row for row, items in enumerate(rows) if items and None in items)
        raise RequestError(f"{path}: row {row}: {name} must have a value in every place, got an empty one")
    return rows
