"""Item metadata as a catalogue, and what to do with interactions of items that aren't in it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from llara_core.datasets.log import Repairs
from llara_core.datasets.titles import clean_titles
from llara_core.errors import DataError


def titled_catalogue(item_ids: pa.ChunkedArray, titles: pa.ChunkedArray) -> tuple[pa.Array, list[str], Repairs]:
    """Return unique raw ids in ascending order, clean titles, and what was mended; leave out what has no title.

    Of several titles of an item the smallest counts, so that the order of rows doesn't matter; such items are counted.
    """
    pairs = pa.table([item_ids, pc.utf8_trim_whitespace(titles)], names=["item", "title"])
    has_title = pc.greater(pc.utf8_length(pairs["title"]), 0)
    pairs = pairs.filter(pc.and_(pc.is_valid(pairs["item"]), has_title))
    first = pairs.group_by("item").aggregate([("title", "min")]).sort_by("item")
    clean, repairs = clean_titles(first["title_min"].to_pylist())
    return first["item"].combine_chunks(), clean, {**repairs, **_several_titles(pairs)}


def _several_titles(pairs: pa.Table) -> dict[str, Any]:
    """Count the items whose rows don't agree on the title, and quote the first of them."""
    counts = pairs.group_by("item").aggregate([("title", "count_distinct")])
    several = counts.filter(pc.greater(counts["title_count_distinct"], 1))
    if not len(several):
        return {}
    item = pc.min(several["item"])
    taken, other, *_ = sorted(set(pairs.filter(pc.equal(pairs["item"], item))["title"].to_pylist()))
    return {
        "items_with_several_titles": len(several),
        "items_with_several_titles_example": f"{item}: {taken!r}, not {other!r}",
    }


def drop_untitled(
    path: Path, log: pa.Table, column: str, catalogue: pa.Array, most: float
) -> tuple[pa.Table, dict[str, int]]:
    """Drop the interactions whose item, in `column`, isn't in the catalogue, and count them.

    Raises:
        DataError: they are more than the share `most`.
    """
    kept = log.filter(pc.is_in(log[column], catalogue))
    dropped = len(log) - len(kept)
    if dropped > most * len(log):
        raise DataError(f"{path}: at most {most:.0%} of interactions may lack a title, got {dropped} of {len(log)}")
    return kept, {"interactions_without_title_dropped": dropped} if dropped else {}
