"""The reader of LastFM (HetRec 2011): user_taggedartists-timestamps.dat and artists.dat, tabs and header lines.

Listening counts have no times; as others do, an interaction is a user's tagging of an artist.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from llara_core.datasets.log import COLUMNS, RawLog
from llara_core.datasets.text_lines import existing, is_number, lines, malformed_line
from llara_core.datasets.titles import clean_titles
from llara_core.errors import DataError

_TAGS = ("userID", "artistID", "tagID", "timestamp")
_ARTISTS = ("id", "name", "url", "pictureURL")


def read_lastfm(folder: Path) -> RawLog:
    """Read both files in `folder`; taggings of artists that artists.dat doesn't list are dropped and counted.

    Raises:
        DataError: naming file, line and content of a line that doesn't fit.
    """
    ids, titles, repairs = _read_artists(existing(folder / "artists.dat"))
    tags = _read_tags(existing(folder / "user_taggedartists-timestamps.dat"))
    is_listed = pc.is_in(tags["artistID"], ids)
    if dropped := len(tags) - (pc.sum(is_listed).as_py() or 0):
        repairs["taggings_of_unlisted_artists_dropped"] = dropped
    tags = tags.filter(is_listed)
    seconds = pc.floor(pc.divide(tags["timestamp"], 1000.0)).cast(pa.int64())  # some lie before 1970
    columns = [tags["userID"], tags["artistID"], pa.nulls(len(tags), pa.float32()), seconds]
    return RawLog(pa.table(columns, names=COLUMNS), ids, titles, repairs=repairs)


def _read_tags(path: Path) -> pa.Table:
    _require_header(path, _TAGS)
    try:
        return pacsv.read_csv(
            path,
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(_TAGS, pa.int64()), null_values=[]),
        )
    except pa.ArrowInvalid as error:
        expected = "user, artist, tag and time, four whole numbers divided by tabs"
        raise malformed_line(path, "utf-8", _is_tagging, expected, error) from error


def _is_tagging(line: str) -> bool:
    fields = tuple(line.split("\t"))
    return fields == _TAGS or (len(fields) == len(_TAGS) and all(is_number(field) for field in fields))


def _read_artists(path: Path) -> tuple[pa.Array, list[str], dict[str, int]]:
    _require_header(path, _ARTISTS)
    names: dict[int, str] = {}
    for number, line in lines(path, "utf-8"):
        fields = line.split("\t")
        if number == 1:
            continue
        if len(fields) < 2 or not fields[0].isdecimal():
            raise DataError(f"{path}: line {number}: must be id, name and addresses divided by tabs; got {line[:80]!r}")
        if names.setdefault(int(fields[0]), fields[1]) != fields[1]:
            raise DataError(f"{path}: line {number}: ids must be unique, got {fields[0]} with another name")
    ids = sorted(names)
    titles, repairs = clean_titles([names[artist] for artist in ids])
    return pa.array(ids, pa.int64()), titles, repairs


def _require_header(path: Path, columns: tuple[str, ...]) -> None:
    _, header = next(lines(path, "utf-8"))
    if tuple(header.split("\t")) != columns:
        raise DataError(f"{path}: line 1: must be the header {', '.join(columns)} with tabs; got {header[:80]!r}")
