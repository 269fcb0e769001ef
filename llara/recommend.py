"""Command recommend: what comes next after a few titles."""

from typing import Annotated

import typer

from llara_core.errors import RequestError


def recommend(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Recommend what comes next after a few titles."""
    raise RequestError("`llara recommend` is being written")
