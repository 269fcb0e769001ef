"""The reader of MovieLens-1M: ratings.dat (user::item::rating::timestamp), movies.dat (id::title::genres, latin-1)."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from llara_core.datasets.log import COLUMNS, RawLog
from llara_core.datasets.movielens import RATING_TYPES, catalogue
from llara_core.datasets.text_lines import existing, is_number, lines, malformed_line
from llara_core.errors import DataError

# pyarrow divides by one character: between two colons stands an empty column.
_SPLIT_AT_COLON = ("user", "_1", "item", "_2", "rating", "_3", "timestamp")


def read_movielens_1m(folder: Path) -> RawLog:
    """Read ratings.dat and movies.dat in `folder`.

    Raises:
        DataError: naming file, line and content of a line that doesn't fit.
    """
    ratings = _read_ratings(existing(folder / "ratings.dat"))
    return catalogue(folder / "movies.dat", ratings, _read_movies(folder / "movies.dat"))


def _read_ratings(path: Path) -> pa.Table:
    try:
        return pacsv.read_csv(
            path,
            read_options=pacsv.ReadOptions(column_names=_SPLIT_AT_COLON),
            parse_options=pacsv.ParseOptions(delimiter=":", quote_char=False),
            convert_options=pacsv.ConvertOptions(
                column_types=RATING_TYPES | dict.fromkeys(("_1", "_2", "_3"), pa.null()),
                include_columns=[*COLUMNS, "_1", "_2", "_3"],
                null_values=[""],
            ),
        ).select(COLUMNS)
    except pa.ArrowInvalid as error:
        expected = "user::item::rating::timestamp, four numbers"
        raise malformed_line(path, "latin-1", _is_rating, expected, error) from error


def _is_rating(line: str) -> bool:
    fields = line.split("::")
    return len(fields) == len(COLUMNS) and all(is_number(field) for field in fields)


def _read_movies(path: Path) -> list[tuple[int, str]]:
    movies = []
    for number, line in lines(existing(path), "latin-1"):
        fields = line.split("::")
        if len(fields) < 3 or not fields[0].isdecimal():
            raise DataError(f"{path}: line {number}: must be id::title::genres, the id a number; got {line[:80]!r}")
        movies.append((int(fields[0]), "::".join(fields[1:-1])))
    return movies
