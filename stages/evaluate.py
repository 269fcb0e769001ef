"""Stage evaluate: ask the tuned LLM for the next item, beside the recommender alone and counting."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from llara_core.errors import ArtifactError
from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.runtime.files import atomic_directory, write_metrics
from stages.command import PARAMS, ParamsPath, run
from stages.paths import ADAPTER, EMBEDDINGS, METRICS, PREDICTIONS, PROCESSED, RECOMMENDER

_METRICS = METRICS / "evaluate.json"
_TABLE_WIDTH = 90  # where no terminal tells, as under DVC, rich would break the labels


def evaluate(
    params_path: ParamsPath = PARAMS,
    show: Annotated[bool, typer.Option("--show", help="Only print the table of the last evaluation.")] = False,
    table: Annotated[bool, typer.Option(envvar="LLARA_TABLE", help="Print the table at the end.")] = True,
) -> None:
    """Judge the tuned LLM on the test users' candidate sets.

    Reads all earlier artifacts; writes data/predictions and metrics/evaluate.json, and prints a table.
    """
    if not show:
        _evaluate(load_params(params_path))
    if show or table:
        _print_table()


def _evaluate(params: Params) -> None:
    # Not at the top: a mistake in params.yaml, and --help, shouldn't wait for the libraries.
    from llara_core.evaluation.judging import judge, read_artifacts
    from llara_core.runtime.compute import seed_torch
    from llara_core.tables.predictions import write_predictions

    seed_torch(params.seed)
    artifacts = read_artifacts(PROCESSED, RECOMMENDER, EMBEDDINGS, ADAPTER)
    judged = judge(params, artifacts)
    with atomic_directory(PREDICTIONS) as folder:
        write_predictions(folder / "test.parquet", judged.predictions, judged.sets, artifacts.lineage)
    write_metrics(_METRICS, judged.metrics)


def _print_table() -> None:
    if not _METRICS.is_file():
        raise ArtifactError(f"{_METRICS}: no such file; run `dvc repro`")
    table = Table("model", "HitRatio@1", "95 % interval", "ValidRatio", "sets", "users")
    for name, entry in json.loads(_METRICS.read_text(encoding="utf-8")).items():
        interval = f"[{entry['hit_ratio_at_1_low']:.3f}, {entry['hit_ratio_at_1_high']:.3f}]"
        label = f"{name} ({entry['method']})" if "method" in entry else name
        counts = (str(entry["n_examples"]), str(entry["n_users"]))
        table.add_row(label, f"{entry['hit_ratio_at_1']:.3f}", interval, f"{entry['valid_ratio']:.3f}", *counts)
    Console(width=max(Console().width, _TABLE_WIDTH)).print(table)


if __name__ == "__main__":
    run(evaluate)
