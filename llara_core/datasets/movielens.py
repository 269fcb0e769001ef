"""The reader of MovieLens-100K: u.data (user, item, rating, timestamp; tabs) and u.item (`|`, latin-1)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from llara_core.datasets.log import INTERACTIONS_SCHEMA, RawLog
from llara_core.datasets.titles import clean_titles
from llara_core.errors import DataError

_ITEM_FIELDS = 24


def read_movielens_100k(folder: Path) -> RawLog:
    """Read u.data and u.item in `folder`.

    Raises:
        DataError: naming file, line and content of a line that doesn't fit.

    """
    interactions = _read_ratings(folder / "u.data")
    ids, raw_titles = _read_movies(folder / "u.item")
    unknown = pc.unique(interactions["item"].filter(pc.invert(pc.is_in(interactions["item"], ids))))
    if len(unknown):
        raise DataError(f"{folder / 'u.data'}: items must be listed in u.item, got item {unknown[0]}")
    return RawLog(interactions, ids, clean_titles(raw_titles))


def _read_ratings(path: Path) -> pa.Table:
    try:
        return pacsv.read_csv(
            _existing(path),
            read_options=pacsv.ReadOptions(column_names=INTERACTIONS_SCHEMA.names),
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pacsv.ConvertOptions(
                column_types=INTERACTIONS_SCHEMA, null_values=[], strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise _locate_bad_rating(path, error) from error


def _locate_bad_rating(path: Path, cause: Exception) -> DataError:
    """Find the first line that pyarrow can't have liked; only the error path pays for Python's slowness."""
    for number, line in _lines(path, "utf-8"):
        fields = line.split("\t")
        if len(fields) != len(INTERACTIONS_SCHEMA) or not all(_is_number(field) for field in fields):
            return DataError(
                f"{path}: line {number}: must be user, item, rating and timestamp, four numbers divided by tabs; "
                f"got {line[:80]!r}"
            )
    return DataError(f"{path}: not readable as ratings: {cause}")


def _is_number(text: str) -> bool:
    return text.strip().removeprefix("-").isdecimal()


def _read_movies(path: Path) -> tuple[pa.Int64Array, list[str]]:
    ids, titles = [], []
    for number, line in _lines(_existing(path), "latin-1"):
        fields = line.split("|")
        if len(fields) != _ITEM_FIELDS or not fields[0].isdecimal():
            raise DataError(
                f"{path}: line {number}: must be {_ITEM_FIELDS} fields divided by |, the first a number; "
                f"got {len(fields)} in {line[:80]!r}"
            )
        ids.append(int(fields[0]))
        titles.append(fields[1])
    order = np.argsort(ids, kind="stable")
    sorted_ids = np.asarray(ids, dtype=np.int64)[order]
    if len(repeated := sorted_ids[1:][sorted_ids[1:] == sorted_ids[:-1]]):
        raise DataError(f"{path}: item ids must be unique, got {repeated[0]} twice")
    return pa.array(sorted_ids), [titles[i] for i in order]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: no such file; run `dvc repro fetch`")
    if not path.stat().st_size:
        raise DataError(f"{path}: must not be empty")
    return path


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    with path.open(encoding=encoding, newline="\n", errors="replace") as file:
        yield from ((number, line.rstrip("\r\n")) for number, line in enumerate(file, start=1))
