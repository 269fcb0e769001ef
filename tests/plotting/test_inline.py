"""Plots inside a page: escaped, named, and without what would meet another plot's."""

import re
from typing import Any

import pytest

from llara_core.plotting.inline import Colours, Figure, inline_svg, png

HOSTILE = "<script>alert(1)</script>"


def _bars(colours: Colours) -> dict[str, Any]:
    mark = {"type": "bar", "color": colours["accent"]}
    encoding = {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "name", "type": "nominal"}}
    return {"data": {"values": [{"name": HOSTILE, "x": 3}]}, "mark": mark, "encoding": encoding}


def test_a_plot_escapes_its_title_and_words() -> None:
    figure = Figure("key", f'{HOSTILE}"', f'{HOSTILE}"', _bars, "arms")
    svg = inline_svg(figure)
    assert "<script" not in svg
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")
    assert 'aria-labelledby="key-title key-words"' in svg
    assert f'{HOSTILE}"'.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;") in svg
    assert set(re.findall(r'(?:fill|stroke)="([^"]*)"', svg)) <= {
        "none",
        "transparent",
        "var(--accent)",
        "var(--ink)",
        "var(--line)",
        "var(--muted)",
    }
    assert inline_svg(figure) == svg
    assert png(figure) == png(figure)
    assert png(figure).startswith(b"\x89PNG")


def test_ids_of_a_plot_are_refused() -> None:
    """They would meet those of another plot in the page."""

    def clipped(colours: Colours) -> dict[str, Any]:
        found = _bars(colours)
        return {**found, "mark": {**found["mark"], "clip": True}}

    with pytest.raises(ValueError, match="without ids"):
        inline_svg(Figure("key", "title", "words", clipped, "arms"))
