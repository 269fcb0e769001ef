"""Every stage as a program of its own, with the option that all of them have."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from llara_core.runtime.program import run_program

ParamsPath = Annotated[Path, typer.Option("--params", help="The params file; every knob stands in it.")]
PARAMS = Path("params.yaml")


def run(command: Callable[..., None]) -> None:
    """Run `command` as a Typer program; a user's error ends it with one line and status 1."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_program(app)
