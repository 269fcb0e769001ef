"""Stage evaluate: ask the tuned LLM for the next item, beside probes of it, the recommender alone and counting."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llara_core.errors import ArtifactError
from llara_core.evaluation.rows_table import print_rows
from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.runtime.curves import write_curve
from llara_core.runtime.files import atomic_directory, write_metrics
from llara_core.runtime.paths import (
    ADAPTER,
    CANDIDATES,
    EMBEDDINGS,
    EVALUATION,
    METRICS,
    PLOT_TEMPLATES,
    PREDICTIONS,
    PROCESSED,
    RECOMMENDER,
)
from stages.command import PARAMS, ParamsPath, run

if TYPE_CHECKING:
    from llara_core.evaluation.artifacts import Artifacts
    from llara_core.evaluation.judging import Judged

_METRICS = METRICS / "evaluate.json"
_DETAILS = EVALUATION / "details.json"


def evaluate(
    params_path: ParamsPath = PARAMS,
    show: Annotated[bool, typer.Option("--show", help="Only print the table of the last evaluation.")] = False,
    table: Annotated[bool, typer.Option(envvar="LLARA_TABLE", help="Print the table at the end.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask anew what an interrupted run has answered.")] = False,
) -> None:
    """Judge the tuned LLM on the test users' candidate sets.

    Reads all earlier artifacts; writes every model's answers to data/predictions, all metrics to
    data/evaluation/details.json with plots beside it, those that matter most to metrics/evaluate.json, and prints them
    as a table with remarks.
    A killed run goes on where it stopped, from .llara/checkpoints (or $LLARA_CHECKPOINT_DIR); a finished one leaves
    none.
    """
    has_written = show or _evaluate(load_params(params_path), fresh=fresh)
    if has_written and (show or table):
        _print_table()


def _evaluate(params: Params, *, fresh: bool) -> bool:
    """Evaluate; return whether this process has written the results."""
    # Not at the top: a mistake in params.yaml, and --help, shouldn't wait for the libraries.
    from llara_core.evaluation.artifacts import read_artifacts
    from llara_core.evaluation.judging import evaluation_fingerprint, judge
    from llara_core.runtime.checkpoints import locked_checkpoints
    from llara_core.runtime.compute import seed_torch

    seed_torch(params.seed)
    artifacts = read_artifacts(PROCESSED, RECOMMENDER, EMBEDDINGS, ADAPTER, CANDIDATES)
    with locked_checkpoints("evaluate", evaluation_fingerprint(params, artifacts), fresh=fresh) as folder:
        if judged := judge(params, artifacts, folder):
            _write(judged, artifacts)
    return judged is not None


def _write(judged: "Judged", artifacts: "Artifacts") -> None:
    from llara_core.evaluation.plots import pictures, plot_rows
    from llara_core.evaluation.remarks import remarks
    from llara_core.evaluation.report import details, headline
    from llara_core.tables.predictions import write_predictions

    tables, answered = artifacts.tables, judged.answered
    n_training_users = int((tables.sequences.train_end > 0).sum())
    found = details(answered, tables.items, n_training_users, artifacts.embeddings.vectors)
    found["remarks"] = remarks(found, answered.asked)
    # All that can fail comes before what is written.
    rows, matter = plot_rows(found), headline(answered, judged.weight)
    drawn = pictures(rows, matter["lists"], PLOT_TEMPLATES)
    with atomic_directory(PREDICTIONS) as folder:
        write_predictions(folder, answered, artifacts.lineage)
    with atomic_directory(EVALUATION) as folder:
        write_metrics(folder / _DETAILS.name, found)
        for name, entries in rows.items():
            write_curve(folder / f"{name}.csv", entries, list(entries[0]) if entries else [])
        for name, png in drawn.items():
            (folder / f"{name}.png").write_bytes(png)
    write_metrics(_METRICS, matter)
    write_metrics(METRICS / "evaluate_timing.json", {"seconds_a_list": judged.seconds})


def _print_table() -> None:
    for path in (_METRICS, _DETAILS):
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file; run `dvc repro`")
    found: dict[str, Any] = json.loads(_METRICS.read_text(encoding="utf-8"))
    lists = found.pop("lists")
    print_rows(found, lists, json.loads(_DETAILS.read_text(encoding="utf-8"))["remarks"])


if __name__ == "__main__":
    run(evaluate)
