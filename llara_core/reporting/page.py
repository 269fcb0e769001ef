"""The page: one file without scripts, and nothing in it that a browser would have to fetch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llara_core.plotting.inline import inline_svg
from llara_core.reporting.anchors import CAVEAT, anchors_table
from llara_core.reporting.section import Section
from llara_core.reporting.table import Table

_TEMPLATES = Path(__file__).with_name("templates")
GENERATOR = "llara report"


@dataclass(frozen=True)
class Contents:
    """What a page shows.

    Attributes:
        sections: the workspace's, then suites'.
        waiting: suites without a run, and their questions.
        origin: name and value of what the report was made by.
        metric: as readers know it.
    """

    sections: Sequence[Section]
    waiting: Mapping[str, str]
    origin: Mapping[str, str]
    metric: str


def render(contents: Contents) -> str:
    """Return the page; equal contents give equal bytes, for it doesn't say when it was made.

    All texts are escaped by the templates, whoever wrote them.
    """
    # Not at the top: --help shouldn't wait for it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        contents=contents,
        anchors=anchors_table(),
        caveat=CAVEAT,
        generator=GENERATOR,
        svg=inline_svg,
    )


def csv_files(contents: Contents) -> dict[str, str]:
    """Every table by its path beside the page."""
    found: dict[str, str] = {}
    for section in contents.sections:
        found |= {f"{section.key}/{table.key}.csv": table.as_csv() for table in section.tables}
    anchors: Table = anchors_table()
    return {**found, f"{anchors.key}.csv": anchors.as_csv()}


def metadata(contents: Contents) -> dict[str, Any]:
    """What JSON beside the page says of its making, and of each section in words."""
    return {
        "origin": dict(contents.origin),
        "sections": {
            section.key: {
                "question": section.question,
                "conclusion": section.conclusion,
                "details": list(section.details),
                "notes": list(section.notes),
            }
            for section in contents.sections
        },
        "waiting": dict(contents.waiting),
    }
