"""The reader of Steam (Kang & McAuley, ICDM 2018): gz files with a Python literal in each line."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from llara_core.datasets.catalogue import drop_untitled, titled_catalogue
from llara_core.datasets.gz_lines import SHOWN_LINES, map_blocks, report_unreadable
from llara_core.datasets.log import COLUMNS, RawLog
from llara_core.datasets.python_literals import Fields, parse_line
from llara_core.errors import DataError

_REVIEW = ("username", "product_id", "date")
_GAME = ("id", "app_name", "title")
_MOST_UNTITLED = 0.05


@dataclass(frozen=True)
class _Block:
    columns: list[pa.Array]
    n_lines: int
    n_unreadable: int
    unreadable: list[str]


def read_steam(folder: Path) -> RawLog:
    """Read both files in `folder`. Reviews carry no rating; their date is a day.

    Reviews without user, game or date, and those of games without a title, are dropped and counted.

    Raises:
        DataError: more than 0.1 % of a file's lines are no Python literals, or more than 5 % of the reviews are of
            games without a title.
    """
    reviews, repairs = _read(folder / "steam_reviews.json.gz", _REVIEW)
    games, _ = _read(folder / "steam_games.json.gz", _GAME)
    complete = pc.and_(
        pc.and_(pc.is_valid(reviews["username"]), pc.is_valid(reviews["product_id"])), pc.is_valid(reviews["date"])
    )
    repairs["reviews_without_user_game_or_date_dropped"] = len(reviews) - pc.sum(complete).as_py()
    reviews = reviews.filter(complete)
    ids, titles, changes = titled_catalogue(games["id"], pc.coalesce(games["app_name"], games["title"]))
    reviews, dropped = drop_untitled(folder, reviews, "product_id", ids, _MOST_UNTITLED)
    columns = [
        reviews["username"],
        reviews["product_id"],
        pa.nulls(len(reviews), pa.float32()),
        _seconds(folder, reviews["date"]),
    ]
    counted = {name: count for name, count in {**repairs, **dropped, **changes}.items() if count}
    return RawLog(pa.table(columns, names=COLUMNS), ids, titles, repairs=counted)


def _read(path: Path, fields: tuple[str, ...]) -> tuple[pa.Table, dict[str, int]]:
    blocks = list(map_blocks(path, partial(_parse_block, fields=fields)))
    n_lines = sum(block.n_lines for block in blocks)
    n_unreadable = sum(block.n_unreadable for block in blocks)
    shown = (line for block in blocks for line in block.unreadable)
    report_unreadable(path, "Python literals", shown, n_unreadable, n_lines)
    chunks = [pa.chunked_array([block.columns[i] for block in blocks], pa.string()) for i in range(len(fields))]
    return pa.table(chunks, names=list(fields)), {"unreadable_lines_dropped": n_unreadable}


def _parse_block(block: bytes, fields: tuple[str, ...]) -> _Block:
    records: list[Fields] = []
    unreadable: list[str] = []
    lines = block.decode("utf-8", errors="replace").split("\n")
    for line in lines:
        if (record := parse_line(line, fields)) is not None:
            records.append(record)
        elif line.strip():
            unreadable.append(line)
    columns = [pa.array([record[i] for record in records], pa.string()) for i in range(len(fields))]
    return _Block(columns, len(lines), len(unreadable), [line[:80] for line in unreadable[:SHOWN_LINES]])


def _seconds(folder: Path, dates: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return pc.cast(pc.strptime(dates, format="%Y-%m-%d", unit="s"), pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(f"{folder / 'steam_reviews.json.gz'}: dates must be like 2017-12-17: {error}") from error
