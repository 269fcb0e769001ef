"""The table of docs/recommenders.md: every recommender on the official MovieLens-100K protocol, several seeds each.

Each run is the stages `preprocess` and `pretrain` in a folder of its own, with the official negatives and 50 candidate
draws. Runs that are there already are not repeated, and interrupted ones go on, so the command can be given again. Run
`dvc repro fetch` first.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from ruamel.yaml import YAML

_ROOT = Path(__file__).resolve().parents[1]
_PROTOCOL = {"candidates.negatives": "outside_recent", "candidates.draws.validation": 50, "candidates.draws.test": 50}
ROWS: dict[str, dict[str, Any]] = {
    "SASRec": {"recommender.name": "sasrec"},
    "HSTU": {"recommender.name": "hstu"},
    "GRU4Rec": {"recommender.name": "gru4rec"},
    "Caser": {"recommender.name": "caser"},
    "SASRec, sampled softmax": {"pretrain.loss.name": "sampled_softmax"},
    "SASRec, gBCE": {"pretrain.loss.name": "gbce"},
    "SASRec, BCE with 1 negative": {
        "pretrain.loss.name": "bce",
        "pretrain.loss.negatives": 1,
        "recommenders.sasrec.ahead.share": 0.0,  # as in the paper
    },
}
_COUNTING = {"popularity": "popularity", "co-occurrence": "co_occurrence"}


def _write_params(folder: Path, changes: dict[str, Any]) -> None:
    yaml = YAML()
    params = yaml.load((_ROOT / "params.yaml").read_text())
    for path, value in changes.items():
        *sections, last = path.split(".")
        section = params
        for name in sections:
            section = section[name]
        section[last] = value
    yaml.dump(params, folder / "params.yaml")


def _run(folder: Path, changes: dict[str, Any], threads: int) -> None:
    """Preprocess and pretrain in `folder`, unless its timing, which is written last, is there."""
    if (folder / "metrics/pretrain_timing.json").is_file():
        return
    (folder / "data").mkdir(parents=True, exist_ok=True)
    _write_params(folder, changes)
    if not (folder / "data/raw").exists():
        (folder / "data/raw").symlink_to(_ROOT / "data/raw")
    environment = os.environ | {
        "PYTHONPATH": str(_ROOT),
        "OMP_NUM_THREADS": str(threads),
        "LLARA_CHECKPOINT_DIR": str(folder / "checkpoints"),
    }
    for stage in ("preprocess", "pretrain"):
        with (folder / f"{stage}.log").open("w") as log:
            command = [sys.executable, "-m", f"stages.{stage}"]
            subprocess.run(command, cwd=folder, env=environment, stderr=log, check=True)  # noqa: S603


def _read(folders: Iterable[Path], scorer: str) -> dict[str, str]:
    """One line of the table: means, and standard deviations over runs where there are several that differ."""
    reports = [json.loads((folder / "metrics/pretrain.json").read_text()) for folder in folders]
    timings = [json.loads((folder / "metrics/pretrain_timing.json").read_text()) for folder in folders]
    tests = [report["test"][scorer] for report in reports]
    among = [test["candidates"] for test in tests]

    def spread(values: list[float], digits: int = 3) -> str:
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return f"{np.mean(values):.{digits}f} ± {deviation:.{digits}f}"

    columns = {
        "HR@1, candidates": spread([entry["hit_ratio_at_1"] for entry in among]),
        "95 % interval": f"[{np.mean([e['hit_ratio_at_1_low'] for e in among]):.3f}, "
        f"{np.mean([e['hit_ratio_at_1_high'] for e in among]):.3f}]",
        "NDCG@10, candidates": spread([entry["ndcg_at_10"] for entry in among]),
        "HR@10": spread([test["hit_ratio_at_10"] for test in tests]),
        "NDCG@10": spread([test["ndcg_at_10"] for test in tests]),
        "HR@1, validation": spread([r["validation"][scorer]["candidates"]["hit_ratio_at_1"] for r in reports]),
    }
    if scorer == "recommender":
        columns["best epoch"] = ", ".join(str(report["best_epoch"]) for report in reports)
        columns["seconds to it"] = spread([timing["training_seconds_to_best"] for timing in timings], 0)
    return columns


def _plot(folders: dict[str, list[Path]], figures: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "llara", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot as plt

    figures.mkdir(parents=True, exist_ok=True)
    for column, label in (
        ("validation_ndcg_at_10", "NDCG@10 on validation, all items"),
        ("loss", "training loss, nats per position"),
    ):
        figure, axes = plt.subplots(figsize=(7, 4))
        for number, (name, runs) in enumerate(folders.items()):
            if column == "loss" and "CE" in name:
                continue  # sums of sigmoids: not to be compared with cross-entropies
            for folder in runs:
                curve = pd.read_csv(folder / "data/curves/pretrain.csv")
                axes.plot(curve["epoch"], curve[column], color=f"C{number}", linewidth=1)
            axes.plot([], [], color=f"C{number}", label=name)
        axes.set(xlabel="epoch", ylabel=label)
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        figure.savefig(figures / f"pretraining_{column}.svg", metadata={"Date": None})
        plt.close(figure)


def main(
    folder: Annotated[Path, typer.Argument(help="Where runs are kept.")] = Path("runs"),
    seeds: Annotated[int, typer.Option(help="Runs of each row: seeds 0, 1, ….")] = 3,
    jobs: Annotated[int, typer.Option(help="Runs at a time.")] = 1,
    rows: Annotated[list[str] | None, typer.Option("--row", help="Rows to make; all by default.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Where to draw training curves (needs matplotlib).")] = None,
) -> None:
    """Train what isn't there yet, then print the table."""
    chosen = {name: ROWS[name] for name in rows or ROWS}
    folders = {
        name: [(folder / f"{name}-{seed}".replace(" ", "_").replace(",", "")).resolve() for seed in range(seeds)]
        for name in chosen
    }
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        work = [
            pool.submit(_run, path, {**_PROTOCOL, **changes, "seed": seed}, threads)
            for name, changes in chosen.items()
            for seed, path in enumerate(folders[name])
        ]
        for done in work:
            done.result()
    first = next(iter(folders.values()))
    lines = {name: _read(first, scorer) for name, scorer in _COUNTING.items()}
    lines |= {name: _read(paths, "recommender") for name, paths in folders.items()}
    header = list(lines[next(iter(chosen))])
    typer.echo("| recommender | " + " | ".join(header) + " |")
    typer.echo("| --- " * (len(header) + 1) + "|")
    for name, columns in lines.items():
        typer.echo(f"| {name} | " + " | ".join(columns.get(column, "") for column in header) + " |")
    if figures:
        _plot(folders, figures)


if __name__ == "__main__":
    typer.run(main)
