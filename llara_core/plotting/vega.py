"""Vega inside a Python package: its JavaScript for pages, and pictures of its specifications without a browser."""

import io
from typing import Any


def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one classic script that sets `vegaEmbed`."""
    from vl_convert import javascript_bundle

    module = javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return f'(() => {{"use strict";\n{module}\n}})();'  # in a scope of its own: its names are short ones


def picture(specification: dict[str, Any]) -> bytes:
    """Return an opaque PNG of two pixels a unit, without legends; equal specifications give equal bytes."""
    from PIL import Image
    from vl_convert import vegalite_to_png

    without = {"legend": {"disable": True}}
    drawn = vegalite_to_png(specification, scale=2, config=without)
    packed = io.BytesIO()  # with a palette a tenth of the size
    Image.open(io.BytesIO(drawn)).convert("RGB").quantize(dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()
