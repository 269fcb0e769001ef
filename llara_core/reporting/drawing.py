"""The kinds of plots of a report, as Vega-Lite: narrow enough for a phone, and told apart by more than colour."""

from collections.abc import Callable, Sequence
from typing import Any

from llara_core.plotting.inline import Colours
from llara_core.reporting.table import Row

_WIDTH, _STEP = 205, 22  # pixels, beside the names
_SMALL = (122, 84)  # of one of several
Drawing = Callable[[Colours], dict[str, Any]]


def intervals(rows: Sequence[Row], label: str, *, zero: bool) -> Drawing:
    """Draw a dot with its interval for each row: `name`, `value`, `low`, `high`, and `is_sure`, which fills the dot."""

    def draw(colours: Colours) -> dict[str, Any]:
        names: dict[str, Any] = {
            "field": "name",
            "type": "nominal",
            "sort": None,
            "axis": {"title": None, "ticks": False, "domain": False, "labelPadding": 8},
        }
        x = _x(label, zero)
        colour = {"condition": {"test": "datum.is_sure", "value": colours["accent"]}, "value": colours["muted"]}
        fill = {"condition": {"test": "datum.is_sure", "value": colours["accent"]}, "value": colours["ground"]}
        layers = [
            *([_zero("x", colours)] if zero else []),
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 2, "strokeCap": "round"},
                "encoding": {"y": names, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "point", "size": 60, "strokeWidth": 2, "opacity": 1},
                "encoding": {"y": names, "x": {**x, "field": "value"}, "stroke": colour, "fill": fill},
            },
        ]
        return {"data": {"values": list(rows)}, "width": _WIDTH, "height": {"step": _STEP}, "layer": layers}

    return draw


def by_range(rows: Sequence[Row], order: Sequence[str]) -> Drawing:
    """Draw for each `panel` a line of `value` over ordered ranges `at`, with intervals, about 0, on untitled axes."""

    def draw(colours: Colours) -> dict[str, Any]:
        axis = {"labelAngle": -40, "labelFontSize": 10, "labelOverlap": False, "grid": False}
        x = {"field": "at", "type": "ordinal", "sort": list(order), "title": None, "axis": axis}
        y = {"type": "quantitative", "title": None, "axis": {"tickCount": 4, "format": "+.2~f"}}
        layers = [
            _zero("y", colours),
            {
                "mark": {"type": "line", "strokeWidth": 1, "color": colours["muted"]},
                "encoding": {"x": x, "y": {**y, "field": "value"}},
            },
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 2, "color": colours["accent"]},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 36, "opacity": 1, "color": colours["accent"]},
                "encoding": {"x": x, "y": {**y, "field": "value"}},
            },
        ]
        return _panels(rows, {"layer": layers})

    return draw


def lines(rows: Sequence[Row], x_label: str, y_label: str, *, kinds: bool, shared: bool) -> Drawing:
    """Draw for each `panel` a line of `value` over `step` for each `seed`; dashed and in another colour by `kind`."""

    def draw(colours: Colours) -> dict[str, Any]:
        encoding: dict[str, Any] = {
            "x": {
                "field": "step",
                "type": "quantitative",
                "title": x_label,
                "axis": {"tickCount": 3, "grid": False},
            },
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": y_label,
                "scale": {"zero": kinds},
                "axis": {"tickCount": 4},
            },
            "detail": {"field": "seed", "type": "nominal"},
        }
        mark = {"type": "line", "strokeWidth": 1.5, "opacity": 0.9}
        if kinds:
            names = ["intended", "realised"]
            scale = {"domain": names, "range": [colours["accent"], colours["second"]]}
            encoding["color"] = {"field": "kind", "type": "nominal", "scale": scale}
            dashes = {"domain": names, "range": [[1, 0], [3, 3]]}
            encoding["strokeDash"] = {"field": "kind", "type": "nominal", "scale": dashes}
        else:
            mark["color"] = colours["accent"]
        resolve = {} if shared else {"resolve": {"scale": {"y": "independent"}}}
        return {**_panels(rows, {"mark": mark, "encoding": encoding}), **resolve}

    return draw


def beside(rows: Sequence[Row], bar_label: str, dot_label: str) -> Drawing:
    """Draw for each row a bar `at` and, beside it, the dot `value` with its interval: names can't cover one another."""

    def draw(colours: Colours) -> dict[str, Any]:
        names: dict[str, Any] = {"field": "name", "type": "nominal", "sort": None}
        named = {**names, "axis": {"title": None, "ticks": False, "domain": False, "labelPadding": 8}}
        bar_axis = {"tickCount": 3, "labelFlush": False}
        bars = {
            "mark": {"type": "bar", "size": 9, "color": colours["muted"]},
            "encoding": {
                "y": named,
                "x": {"field": "at", "type": "quantitative", "title": bar_label, "axis": bar_axis},
            },
        }
        x = {**_x(dot_label, zero=False), "axis": {"tickCount": 3, "labelFlush": False}}
        unnamed = {**names, "axis": None}
        dots = [
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 2, "color": colours["accent"]},
                "encoding": {"y": unnamed, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1, "color": colours["accent"]},
                "encoding": {"y": unnamed, "x": {**x, "field": "value"}},
            },
        ]
        size = {"width": _WIDTH // 2 - 14, "height": {"step": _STEP}}
        return {"data": {"values": list(rows)}, "spacing": 16, "hconcat": [{**size, **bars}, {**size, "layer": dots}]}

    return draw


def _panels(rows: Sequence[Row], panel: dict[str, Any]) -> dict[str, Any]:
    names = list(dict.fromkeys(row["panel"] for row in rows))
    width, height = _SMALL if len(names) > 1 else (250, 150)
    facet = {"field": "panel", "type": "nominal", "sort": names, "header": {"title": None}}
    return {
        "data": {"values": list(rows)},
        "facet": facet,
        "columns": min(2, len(names)),
        "spacing": {"row": 14, "column": 12},
        "spec": {"width": width, "height": height, **panel},
    }


def _x(label: str, zero: bool) -> dict[str, Any]:
    return {"type": "quantitative", "title": label, "scale": {"zero": zero, "nice": True}, "axis": {"tickCount": 4}}


def _zero(channel: str, colours: Colours) -> dict[str, Any]:
    mark = {"type": "rule", "strokeDash": [3, 3], "color": colours["muted"]}
    return {"mark": mark, "encoding": {channel: {"datum": 0}}}
