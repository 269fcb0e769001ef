"""Every template of .dvc/plots, filled as DVC fills it and laid out by Vega."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import vl_convert
from dvc_render import VegaRenderer

from llara_core.plotting import plot
from llara_core.plotting.plot import Plot
from tests.conftest import ROOT

TEMPLATES = ROOT / ".dvc/plots"
NAMES = sorted(path.stem for path in TEMPLATES.glob("*.json"))
# Okabe & Ito's colours, which people with any kind of colour vision can tell apart; greys for what surrounds data.
SAFE = {"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"}
GREYS = {"#333333", "#555555", "#777777"}
PARTS = Plot("of parts", "parts", x="place", x_label="place", y="share", y_label="share of hits")


def _share(name: str, value: float) -> dict[str, float]:
    return {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}


def _rows(model: str, shares: list[float], n_lists: list[int]) -> list[dict[str, Any]]:
    return [
        {"model": model, "place": place, **_share("share", share), "n_lists": n}
        for place, (share, n) in enumerate(zip(shares, n_lists, strict=True), start=1)
    ]


ROWS = [*_rows("zebra", [0.2, 0.6], [10, 30]), *_rows("ape", [0.4, 0.3], [10, 30])]


def _drawn(mark: Plot, rows: list[dict[str, Any]]) -> dict[str, Any]:
    filled = VegaRenderer(
        rows,
        mark.title,
        title=mark.title,
        template=mark.template,
        template_dir=str(TEMPLATES),
        x=mark.x,
        y=mark.y,
        x_label=mark.x_label,
        y_label=mark.y_label,
    ).get_filled_template()
    return vl_convert.vegalite_to_scenegraph(filled)["scenegraph"]


def _of(node: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """Yield the items that show data by marks of a kind, panel by panel; axes and legends have other roles."""
    if (node.get("marktype"), node.get("role")) == (kind, "mark"):
        yield from node["items"]
    for child in node.get("items", []):
        yield from _of(child, kind)


def _marks(drawn: dict[str, Any]) -> list[dict[str, Any]]:
    places = ("x", "y", "x2", "y2", "size")
    return [
        {key: item[key] for key in places if key in item}
        for kind in ("symbol", "rule", "line")
        for item in _of(drawn, kind)
    ]


def _texts(node: dict[str, Any]) -> list[str]:
    own = [node["text"]] if isinstance(node.get("text"), str) else list(node.get("text", []))
    return own + [text for child in node.get("items", []) for text in _texts(child)]


def test_a_drawing_is_the_filled_template_with_a_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "picture", lambda specification: json.dumps(specification).encode())
    drawn = json.loads(PARTS.draw(ROWS, TEMPLATES, ["80 lists"]))
    assert drawn["data"]["values"] == [{**row, "rev": "workspace"} for row in ROWS]
    assert "rev" not in ROWS[0]
    assert drawn["title"]["text"] == "of parts"
    template = json.loads((TEMPLATES / "parts.json").read_text())
    assert drawn["title"]["subtitle"] == [*template["title"]["subtitle"], "80 lists"]
    assert "DVC_METRIC" not in json.dumps(drawn)
    encoding = drawn["spec"]["encoding"] | drawn["spec"]["layer"][1]["encoding"]
    assert (encoding["x"]["field"], encoding["x"]["title"]) == ("place", "place")
    assert (encoding["y"]["field"], encoding["y"]["title"]) == ("share_low", "share of hits")
    assert encoding["y2"] == {"field": "share_high"}


def test_parts_stand_in_a_panel_for_each_model_in_the_order_of_the_rows() -> None:
    drawn = _drawn(PARTS, [{**row, "rev": "workspace"} for row in ROWS])
    texts = _texts(drawn)
    assert texts.index("zebra") < texts.index("ape")
    assert {"of parts", "place", "share of hits"} <= set(texts)
    points = list(_of(drawn, "symbol"))
    assert len(points) == 4
    assert points[1]["size"] > points[0]["size"]  # of more lists


def test_the_dashed_line_is_the_share_of_all_lists() -> None:
    drawn = _drawn(PARTS, [{**row, "rev": "workspace"} for row in ROWS])
    points = list(_of(drawn, "symbol"))
    dashed = list(_of(drawn, "line"))
    assert len(dashed) == 4
    # Of zebra's 40 lists 2 + 18 are hits: .5 lies three quarters of the way from .2 to .6.
    expected = points[0]["y"] + 0.75 * (points[1]["y"] - points[0]["y"])
    assert dashed[0]["y"] == pytest.approx(expected)
    assert dashed[1]["y"] == pytest.approx(expected)


def test_each_revision_has_a_dashed_line_of_its_own() -> None:
    shares = {"old": 0.2, "new": 0.6}
    rows = [{**row, "rev": rev} for rev, share in shares.items() for row in _rows("ape", [share, share], [10, 30])]
    drawn = _drawn(PARTS, rows)
    points, dashed = list(_of(drawn, "symbol")), list(_of(drawn, "line"))
    assert sorted({round(line["y"], 3) for line in dashed}) == sorted({round(point["y"], 3) for point in points})
    assert len({round(line["y"], 3) for line in dashed}) == 2


def test_whiskers_span_the_interval() -> None:
    drawn = _drawn(PARTS, [{**row, "rev": "workspace"} for row in ROWS])
    points, whiskers = list(_of(drawn, "symbol")), list(_of(drawn, "rule"))
    step = (points[0]["y"] - points[1]["y"]) / 4  # .1 of .4
    assert len(whiskers) == 4
    for point, whisker in zip(points, whiskers, strict=True):
        ends = sorted((whisker["y"], whisker["y2"]))
        assert ends == pytest.approx([point["y"] - step, point["y"] + step])


def test_revisions_stand_side_by_side_in_their_colours() -> None:
    drawn = _drawn(PARTS, [{**row, "rev": rev} for rev in ("old", "new") for row in ROWS])
    points = list(_of(drawn, "symbol"))
    assert [point["fill"] for point in points] == [*["#0072B2"] * 2, *["#E69F00"] * 2] * 2
    assert len({round(point["x"], 3) for point in points}) == 4
    assert [text for text in _texts(drawn) if text in ("old", "new")] == ["old", "new"]


def test_numbers_may_be_text_as_dvc_reads_them() -> None:
    rows = [{**row, "rev": "workspace"} for row in ROWS]
    text = [{key: str(value) for key, value in row.items()} for row in rows]
    assert _marks(_drawn(PARTS, text)) == _marks(_drawn(PARTS, rows))


def test_bars_are_as_long_as_their_value_and_stand_in_the_order_of_the_rows() -> None:
    bars = Plot("bars", "bars", x="share", x_label="share", y="name", y_label="name")
    values = {"zebra": 0.2, "ape": 0.4}
    rows = [
        {"name": name, "rev": "r", **{key: str(number) for key, number in _share("share", value).items()}}
        for name, value in values.items()
    ]
    drawn = _drawn(bars, rows)
    first, second = (bar for bar in _of(drawn, "rect") if bar["fill"] == "#56B4E9")
    assert second["width"] == pytest.approx(2 * first["width"])
    assert first["y"] < second["y"]
    assert [text for text in _texts(drawn) if text in ("0.200", "0.400")] == ["0.200", "0.400"]
    step = first["width"] / 2  # .1
    whiskers = [rule for rule in _of(drawn, "rule") if abs(rule["x2"] - rule["x"]) > 1]
    for bar, whisker in zip((first, second), whiskers, strict=True):
        ends = sorted((whisker["x"], whisker["x2"]))
        assert ends == pytest.approx([bar["width"] - step, bar["width"] + step])


def test_bars_of_revisions_stand_side_by_side() -> None:
    bars = Plot("bars", "bars", x="share", x_label="share", y="name", y_label="name")
    rows = [{"name": "ape", "rev": rev, **_share("share", 0.2)} for rev in ("old", "new")]
    first, second = (bar for bar in _of(_drawn(bars, rows), "rect") if bar["fill"] in ("#56B4E9", "#E69F00"))
    assert first["y"] + first["height"] <= second["y"]


def test_calibration_has_its_diagonal_in_every_panel() -> None:
    plotted = Plot("c", "calibration", x="confidence", x_label="confidence", y="accuracy", y_label="accuracy")
    rows = [
        {"model": model, "confidence": 0.5, "accuracy": 0.7, "accuracy_low": 0.6, "accuracy_high": 0.8, "n_lists": 9}
        for model in ("a", "b")
    ]
    drawn = _drawn(plotted, [{**row, "rev": "workspace"} for row in rows])
    diagonals = [line for line in _of(drawn, "rule") if abs(line.get("x2", line["x"]) - line["x"]) > 1]
    assert len(diagonals) == 2
    for line in diagonals:
        corners = sorted([(line["x"], line["y"]), (line["x2"], line["y2"])])
        assert corners[0] == (0, 160)
        assert corners[1] == (160, 0)
    for point in (points := list(_of(drawn, "symbol"))):
        assert (point["x"], point["y"]) == pytest.approx((80, 160 * (1 - 0.7)))
    whiskers = [rule for rule in _of(drawn, "rule") if rule not in diagonals]
    assert len(points) == len(whiskers) == 2
    for whisker in whiskers:
        assert sorted((whisker["y"], whisker["y2"])) == pytest.approx([160 * (1 - 0.8), 160 * (1 - 0.6)])


def test_a_curve_goes_on_over_steps_that_measured_nothing() -> None:
    plotted = Plot("c", "curve", x="step", x_label="step", y="validation", y_label="validation")
    rows = [{"step": str(step), "validation": value, "rev": "r"} for step, value in enumerate(["", "0.1", "", "0.3"])]
    points = list(_of(_drawn(plotted, rows), "line"))
    assert len(points) == 2
    assert points[0]["y"] > points[1]["y"]


@pytest.mark.parametrize("name", NAMES)
def test_colours_can_be_told_apart_and_the_background_is_opaque(name: str) -> None:
    text = (TEMPLATES / f"{name}.json").read_text()
    template = json.loads(text)
    colours = {word for word in text.split('"') if word.startswith("#")}
    assert colours <= SAFE | GREYS
    assert template["config"]["background"] == "white"
    assert isinstance(template["title"]["subtitle"], list)  # to which a caption is added


def test_all_templates_are_tested() -> None:
    assert NAMES == ["bars", "calibration", "curve", "parts"]
