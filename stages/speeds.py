"""How fast the workspace's last run was, by which a suite's time is estimated."""

import csv
import json

from llara_core.experiments.plan import Speeds
from llara_core.params.params import Params
from llara_core.runtime.paths import CURVES, METRICS


def measured_speeds(base: Params) -> Speeds:
    """Return what the last run of these params left; None in it where nothing was measured."""
    return Speeds(_pretraining_seconds(), _example_seconds(), base.train.objective.name, base.llm.name)


def _pretraining_seconds() -> float | None:
    path = METRICS / "pretrain_timing.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return float(found["training_seconds"] + found["validation_seconds"])


def _example_seconds() -> float | None:
    path = CURVES / "finetune.csv"
    if not path.is_file():
        return None
    with path.open(newline="") as file:
        speeds = [float(row["examples_per_second"]) for row in csv.DictReader(file) if row["examples_per_second"]]
    return sum(1 / speed for speed in speeds) / len(speeds) if speeds else None
