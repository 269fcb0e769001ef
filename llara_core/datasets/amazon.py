"""The reader of Amazon Reviews 2023 (Hou et al., arXiv 2403.03952): a category's reviews and metadata as JSON lines."""

import io
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from llara_core.datasets.catalogue import drop_untitled, titled_catalogue
from llara_core.datasets.gz_lines import map_blocks, report_unreadable
from llara_core.datasets.log import COLUMNS, RawLog

_REVIEWS = pa.schema(
    [("user_id", pa.string()), ("parent_asin", pa.string()), ("rating", pa.float32()), ("timestamp", pa.int64())]
)
_METADATA = pa.schema([("parent_asin", pa.string()), ("title", pa.string())])
_MOST_UNTITLED = 0.05


@dataclass(frozen=True)
class _Block:
    table: pa.Table
    unreadable: list[str]


def read_amazon(folder: Path, category: str) -> RawLog:
    """Read <category>.jsonl.gz and meta_<category>.jsonl.gz in `folder`; an item is a `parent_asin`.

    Reviews without user, item or time, and those of items without a title, are dropped and counted.

    Raises:
        DataError: more than 0.1 % of a file's lines are no JSON, or more than 5 % of the reviews have no title.
    """
    reviews, repairs = _read(folder / f"{category}.jsonl.gz", _REVIEWS)
    metadata, _ = _read(folder / f"meta_{category}.jsonl.gz", _METADATA)
    complete = reviews.filter(
        pc.and_(
            pc.and_(*(pc.is_valid(reviews[name]) for name in ("user_id", "parent_asin"))),
            pc.is_valid(reviews["timestamp"]),
        )
    )
    repairs["reviews_without_user_item_or_time_dropped"] = len(reviews) - len(complete)
    ids, titles, changes = titled_catalogue(metadata["parent_asin"], metadata["title"])
    kept, dropped = drop_untitled(folder, complete, "parent_asin", ids, _MOST_UNTITLED)
    columns = [kept["user_id"], kept["parent_asin"], kept["rating"], pc.divide(kept["timestamp"], 1000)]
    counted = {name: count for name, count in {**repairs, **dropped, **changes}.items() if count}
    return RawLog(pa.table(columns, names=COLUMNS), ids, titles, repairs=counted)


def _read(path: Path, schema: pa.Schema) -> tuple[pa.Table, dict[str, int]]:
    blocks = list(map_blocks(path, partial(_parse_block, schema=schema)))
    table = pa.concat_tables([block.table for block in blocks]) if blocks else schema.empty_table()
    unreadable = [line for block in blocks for line in block.unreadable]
    report_unreadable(path, "JSON objects", unreadable, len(unreadable), len(table) + len(unreadable))
    return table, {"unreadable_lines_dropped": len(unreadable)}


def _parse_block(block: bytes, schema: pa.Schema) -> _Block:
    try:
        return _Block(_parse(block, schema), [])
    except pa.ArrowInvalid:
        return _parse_line_by_line(block, schema)


def _parse(block: bytes, schema: pa.Schema) -> pa.Table:
    if not block.strip():
        return schema.empty_table()
    options = pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    whole = pajson.ReadOptions(block_size=len(block) + 1)
    return pajson.read_json(io.BytesIO(block), read_options=whole, parse_options=options).select(schema.names)


def _parse_line_by_line(block: bytes, schema: pa.Schema) -> _Block:
    """Tell the readable lines of a block from the others; only blocks with a broken line pay for it."""
    good, unreadable = [], []
    for line in block.split(b"\n"):
        try:
            good.append(_parse(json.dumps(json.loads(line)).encode(), schema))
        except (pa.ArrowInvalid, ValueError):
            if line.strip():
                unreadable.append(line[:80].decode("utf-8", errors="replace"))
    return _Block(pa.concat_tables(good) if good else schema.empty_table(), unreadable)
