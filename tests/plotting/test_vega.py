import io

from PIL import Image

from llara_core.plotting.vega import javascript, picture

BARS = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "data": {"values": [{"name": "a", "value": 1}, {"name": "b", "value": 3}]},
    "mark": "bar",
    "encoding": {
        "y": {"field": "name", "axis": None},
        "x": {"field": "value", "type": "quantitative", "axis": None},
        "color": {"field": "name", "scale": {"range": ["#ff0000", "#0000ff"]}},
    },
    "width": 90,
    "height": {"step": 20},
    "padding": 0,
}


def _widths(png: bytes) -> dict[tuple[int, ...], int]:
    """By colour, the pixels of its bar's middle row."""
    drawn = Image.open(io.BytesIO(png)).convert("RGB")
    rows = [[drawn.getpixel((x, y)) for x in range(drawn.width)] for y in range(drawn.height)]
    return {colour: max(row.count(colour) for row in rows) for colour in ((255, 0, 0), (0, 0, 255))}


def test_a_picture_is_drawn_to_scale_and_without_a_legend() -> None:
    assert _widths(picture(BARS)) == {(255, 0, 0): 60, (0, 0, 255): 180}  # two pixels a unit
    width, height = Image.open(io.BytesIO(picture(BARS))).size
    assert width <= 2 * 92  # a legend would stand beside
    assert 2 * 40 <= height <= 2 * 42


def test_a_picture_is_opaque_small_and_the_same_every_time() -> None:
    png = picture(BARS)
    assert Image.open(io.BytesIO(png)).mode == "P"
    assert "transparency" not in Image.open(io.BytesIO(png)).info
    assert b"tIME" not in png
    assert b"tEXt" not in png
    assert len(png) < 2_000
    assert png == picture(BARS)


def test_the_script_can_stand_in_a_page_that_dvc_fills() -> None:
    script = javascript()
    assert "window.vegaEmbed" in script
    assert script.startswith("(() => {")  # a scope of its own, in which DVC's `spec` changes nothing
    assert script.endswith("})();")
    for word in ("</script", "<!--", "{plot_divs}", "{scripts}", "{refresh_tag}", "{vega}"):
        assert word not in script
    assert script == javascript()
