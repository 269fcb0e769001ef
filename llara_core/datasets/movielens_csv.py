"""The reader of MovieLens-20M, 25M and 32M: ratings.csv and movies.csv with header lines."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from llara_core.datasets.log import COLUMNS, RawLog
from llara_core.datasets.movielens import RATING_TYPES, catalogue
from llara_core.datasets.text_lines import existing, is_number, lines, malformed_line
from llara_core.errors import DataError

_RATINGS = ("userId", "movieId", "rating", "timestamp")
_MOVIES = ("movieId", "title", "genres")


def read_movielens_csv(folder: Path) -> RawLog:
    """Read ratings.csv and movies.csv in `folder`.

    Raises:
        DataError: naming file, line and content of a line that doesn't fit, or the columns found.
    """
    types = dict(zip(_RATINGS, RATING_TYPES.values(), strict=True))
    ratings = _read(folder / "ratings.csv", _RATINGS, types).rename_columns(COLUMNS)
    movies = _read(folder / "movies.csv", _MOVIES, {"movieId": pa.int64(), "title": pa.string()})
    pairs = list(zip(movies["movieId"].to_pylist(), movies["title"].to_pylist(), strict=True))
    return catalogue(folder / "movies.csv", ratings, pairs)


def _read(path: Path, columns: tuple[str, ...], types: dict[str, pa.DataType]) -> pa.Table:
    _, header = next(lines(existing(path), "utf-8-sig"))
    if tuple(header.split(",")) != columns:
        raise DataError(f"{path}: line 1: must be the header {','.join(columns)}; got {header[:80]!r}")
    options = pacsv.ConvertOptions(
        column_types=types, include_columns=list(types), null_values=[], strings_can_be_null=False
    )
    try:
        return pacsv.read_csv(path, convert_options=options)
    except pa.ArrowInvalid as error:
        expected = f"{len(columns)} fields divided by commas: {', '.join(columns)}"
        raise malformed_line(path, "utf-8", lambda line: _fits(line, columns), expected, error) from error


def _fits(line: str, columns: tuple[str, ...]) -> bool:
    fields = line.split(",")
    if line == ",".join(columns):
        return True
    if columns == _RATINGS:
        return len(fields) == len(columns) and all(is_number(field) for field in fields)
    return len(fields) >= len(columns) and is_number(fields[0])
