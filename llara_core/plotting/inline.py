"""A plot inside a page: Vega-Lite as SVG that takes its colours from the page, is named aloud, and needs no script."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

Colours = Mapping[str, str]
NAMES = ("ink", "muted", "line", "accent", "second", "ground")
OF_PAGE: Colours = {name: f"var(--{name})" for name in NAMES}
ON_PAPER: Colours = {
    "ink": "#1b1f24",
    "muted": "#6a737d",
    "line": "#d7dce1",
    "accent": "#1f5fa8",
    "second": "#b4540a",
    "ground": "#ffffff",
}
# Not the page's own: Vega makes room for words by the widths of these, which are the same everywhere.
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_OPENING = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)" viewBox="([^"]+)">')


@dataclass(frozen=True)
class Figure:
    """A plot, and what stands for it where it isn't seen.

    Attributes:
        key: in the page and in names of files: letters, digits, `-` and `_`.
        title: what it shows.
        alternative: the same in words, with its numbers.
        specification: of Vega-Lite, in these colours; without ids, which would meet others in the page.
        source: key of the table that has its numbers.
    """

    key: str
    title: str
    alternative: str
    specification: Callable[[Colours], dict[str, Any]]
    source: str


def inline_svg(figure: Figure) -> Markup:
    """Return an element of the page; equal figures give equal text.

    Vega escapes what it is given; the rest is escaped here.
    """
    from vl_convert import vegalite_to_svg

    drawn = vegalite_to_svg({**figure.specification(OF_PAGE), "config": _config(OF_PAGE)})
    found = _OPENING.match(drawn)
    if found is None or " id=" in drawn:
        raise ValueError(f"{figure.key}: Vega must draw one svg element without ids, got {drawn[:200]}")
    width, _, box = found.groups()
    opening = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="{}" style="max-width:{}px" role="img" '
        'aria-labelledby="{}-title {}-words"><title id="{}-title">{}</title><desc id="{}-words">{}</desc>'
    ).format(box, round(float(width) * 1.25), *[figure.key] * 3, figure.title, figure.key, figure.alternative)
    return opening + Markup(drawn[found.end() :])  # noqa: S704 (Vega's own, in which texts are escaped)


def png(figure: Figure) -> bytes:
    """Return the figure on white, three pixels a unit."""
    from vl_convert import vegalite_to_png

    title = {"title": {"text": figure.title, "anchor": "start", "fontSize": 12}}
    specification = {**figure.specification(ON_PAPER), **title, "config": _config(ON_PAPER)}
    return vegalite_to_png(specification, scale=3)


def _config(colours: Colours) -> dict[str, Any]:
    quiet = {"labelColor": colours["ink"], "titleColor": colours["muted"], "titleFontWeight": "normal"}
    axis = {**quiet, "domainColor": colours["line"], "tickColor": colours["line"], "gridColor": colours["line"]}
    return {
        "aria": False,  # the whole is one image with its words
        "font": _FONT,
        "background": None if colours is OF_PAGE else colours["ground"],
        "padding": 4,
        "axis": {**axis, "labelFontSize": 11, "titleFontSize": 11, "gridOpacity": 0.6, "labelLimit": 120},
        "header": {**quiet, "labelFontSize": 11, "labelPadding": 4, "labelLimit": 140, "title": None},
        "legend": {**quiet, "labelFontSize": 11, "orient": "top", "title": None, "symbolStrokeWidth": 2},
        "title": {"color": colours["ink"]},
        "view": {"stroke": None},
    }
