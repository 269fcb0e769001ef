"""The reader of MovieLens-100K: u.data (user, item, rating, timestamp; tabs) and u.item (`|`, latin-1)."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from llara_core.datasets.log import COLUMNS, RawLog
from llara_core.datasets.movielens import RATING_TYPES, catalogue
from llara_core.datasets.text_lines import existing, is_number, lines, malformed_line
from llara_core.errors import DataError

_ITEM_FIELDS = 24


def read_movielens_100k(folder: Path) -> RawLog:
    """Read u.data and u.item in `folder`.

    Raises:
        DataError: naming file, line and content of a line that doesn't fit.
    """
    return catalogue(folder / "u.item", _read_ratings(existing(folder / "u.data")), read_movies(folder / "u.item"))


def _read_ratings(path: Path) -> pa.Table:
    try:
        return pacsv.read_csv(
            path,
            read_options=pacsv.ReadOptions(column_names=COLUMNS),
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pacsv.ConvertOptions(column_types=RATING_TYPES, null_values=[]),
        )
    except pa.ArrowInvalid as error:
        expected = "user, item, rating and timestamp, four numbers divided by tabs"
        raise malformed_line(path, "utf-8", _is_rating, expected, error) from error


def _is_rating(line: str) -> bool:
    fields = line.split("\t")
    return len(fields) == len(COLUMNS) and all(is_number(field) for field in fields)


def read_movies(path: Path) -> list[tuple[int, str]]:
    """Return raw ids and raw titles out of u.item.

    Raises:
        DataError: naming line and content of a line that doesn't fit.
    """
    movies = []
    for number, line in lines(existing(path), "latin-1"):
        fields = line.split("|")
        if len(fields) != _ITEM_FIELDS or not fields[0].isdecimal():
            raise DataError(
                f"{path}: line {number}: must be {_ITEM_FIELDS} fields divided by |, the first a number; "
                f"got {len(fields)} in {line[:80]!r}"
            )
        movies.append((int(fields[0]), fields[1]))
    return movies
