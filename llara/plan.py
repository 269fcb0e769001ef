"""Command plan: what a finetuning will need, before anything is downloaded."""

from pathlib import Path
from typing import Annotated

import typer

from llara_core.errors import RequestError
from llara_core.experiments.overrides import override
from llara_core.params.loading import load_params, read_plain
from llara_core.runtime.paths import METRICS, PROCESSED
from llara_core.runtime.program import print_json


def plan(
    changes: Annotated[
        list[str] | None,
        typer.Option("-S", "--set-param", metavar="NAME=VALUE", help="A change of params.yaml, as `dvc exp run -S`."),
    ] = None,
    probe: Annotated[bool, typer.Option("--probe", help="Measure the time: a few steps of a random model.")] = False,
    rate: Annotated[
        float | None, typer.Option(metavar="TOKENS", help="Tokens a second of training, if you know them.")
    ] = None,
    params_path: Annotated[Path, typer.Option("--params", help="The params file.")] = Path("params.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: bytes, seconds and counts.")] = False,
) -> None:
    """Say what finetuning with the selected params will need, and where that fits.

    Parameters, examples, tokens, steps, memory by part against this machine and against cards of 24, 40 and 80 GB,
    time with `--probe` or `--rate`, and disk. Where a run doesn't fit it says what to change, and what each change
    gives. Nothing is downloaded: a language model's shape comes from what is here, or from a list of pinned ones.

    Exit codes: 0 it fits here; 4 not here, but on one of the cards; 5 on none of them; 1 an error, such as a shape or
    a dataset of which nothing is known.
    """
    if rate is not None and not 0 < rate < float("inf"):
        raise RequestError(f"--rate must be > 0 tokens a second, got {rate:g}")
    params = load_params(params_path)
    if changes:
        params = override(read_plain(params_path), changes, "llara plan")[1]
    # Not at the top: a mistake in params shouldn't wait for the libraries.
    from llara_core.planning.plan import make_plan
    from llara_core.planning.tables import print_plan

    made = make_plan(params, PROCESSED, METRICS, rate=rate, probes=probe)
    if as_json:
        print_json(made.as_json())
    else:
        print_plan(made)
    raise typer.Exit(made.exit_code)
