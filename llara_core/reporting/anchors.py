"""Published numbers beside which a reader will hold ours, and why they can't be subtracted."""

from functools import cache
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from llara_core.evaluation.statistics import share_with_interval
from llara_core.params.base import Count, Name, PositiveInt, Probability, Section
from llara_core.reporting.table import Column, Row, Table, interval, number, text

_FILE = Path(__file__).with_name("anchors.yaml")
CAVEAT = (
    "Published numbers come from other lists, other language models and other budgets. They say what order of size to "
    "expect, and can't be subtracted from ours."
)


class Anchor(Section):
    """A published number.

    Attributes:
        dataset, model, source: whose it is.
        hit_ratio_at_1, valid_ratio: as published, of lists of 20 candidates.
        spread: as published, beside ±.
        hits, lists: where the share is a count, from which an interval follows.
        caveat: of its protocol.
    """

    dataset: Name
    model: Name
    hit_ratio_at_1: Probability
    valid_ratio: Probability | None = None
    spread: Probability | None = None
    hits: Count | None = None
    lists: PositiveInt | None = None
    source: Name
    caveat: Name


@cache
def load_anchors() -> tuple[Anchor, ...]:
    """Return all that this package knows."""
    content = YAML(typ="safe", pure=True).load(_FILE.read_text(encoding="utf-8"))
    return tuple(TypeAdapter(list[Anchor]).validate_python(content))


def anchors_table() -> Table:
    """A row for each, with Wilson's interval where the count is known."""
    columns = [
        Column("dataset", text("dataset")),
        Column("model", text("model"), is_number=False),
        Column("HitRatio@1", number("hit_ratio_at_1", ".4f")),
        Column("95 % interval", interval("low", "high", ".3f")),
        Column("±", number("spread", ".3f")),
        Column("ValidRatio", number("valid_ratio", ".4f")),
        Column("protocol", text("caveat"), is_number=False),
        Column("source", text("source"), is_number=False),
    ]
    caption = "Published HitRatio@1 of 20 candidates; intervals are ours, from the number of test users"
    return Table("published", caption, columns, [_row(anchor) for anchor in load_anchors()])


def _row(anchor: Anchor) -> Row:
    low = high = None
    if anchor.hits is not None and anchor.lists is not None:
        _, low, high = share_with_interval(np.arange(anchor.lists) < anchor.hits, np.arange(anchor.lists))
    return {**anchor.model_dump(), "low": low, "high": high}
