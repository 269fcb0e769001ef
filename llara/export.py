"""Command export: the trained model as a plain folder, which others read without this project."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from llara_core.params.loading import load_params
from llara_core.runtime.program import print_json


def export(
    folder: Annotated[Path, typer.Argument(help="Where to: a folder that isn't there yet.", show_default=False)],
    private: Annotated[
        bool, typer.Option("--private", help="For your own use: titles and item vectors whatever the data's licence.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    params_path: Annotated[Path, typer.Option("--params", help="How it is asked: its section eval.")] = Path(
        "params.yaml"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Write the trained model as a plain Hugging Face folder, which is read without this project.

    LoRA is merged into the weights (safetensors, float32); of a language model of which only some layers are read, only
    these are there. Beside them: tokenizer, projector, head, item vectors, titles, a model card, and ask.py, ten lines
    that ask the model with torch, transformers and safetensors alone. Scores are the same as here, to 1e-4.

    Titles and item vectors of data whose licence doesn't permit to hand them on, such as MovieLens, are written with
    --private only.

        llara export ../my-model --private

    The folder is written whole or not at all. docs/exporting.md has its files, and the scripts.
    """
    params = load_params(params_path)
    # Not at the top: --help, and mistakes like the above, shouldn't wait for the libraries.
    from llara_core.exporting.export import export_model

    done = export_model(params, folder, private=private, force=force)
    if as_json:
        print_json(
            {"folder": str(folder), "objective": done.objective, "layers": done.layers}
            | {"parameters": done.parameters, "private": done.private, "files": done.sizes, "notes": list(done.notes)}
        )
        return
    total = sum(done.sizes.values())
    print(f"{folder}: {done.objective}, {done.layers} layers, {done.parameters:,} parameters; {total / 1e6:,.1f} MB")
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
