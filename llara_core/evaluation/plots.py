"""Rows of the CSV files that DVC plots: from the details of a report, and from stored answers."""

from typing import Any

import numpy as np

from llara_core.evaluation.per_list import metric
from llara_core.tables.predictions import Answered

Rows = list[dict[str, Any]]
_RATIO = "hit_ratio_at_1"
_BOUNDS = (_RATIO, f"{_RATIO}_low", f"{_RATIO}_high")


def plot_rows(details: dict[str, Any]) -> dict[str, Rows]:
    """By plot, rows with a model's name and HitRatio@1 with its interval: of all lists, and of parts of them."""
    models = details["models"]
    rows: dict[str, Rows] = {"models": [_row(name, entry) for name, entry in models.items()]}
    for what in ("history_length", "target_n_train"):
        parts = [(name, part, row) for name, entry in models.items() for part, row in entry[f"by_{what}"].items()]
        rows[f"by_{what}"] = [_row(name, row, **{what: part}) for name, part, row in parts]
    rows["by_place"] = [
        _row(name, row, place=row["place"]) for name, entry in models.items() for row in entry.get("by_place", [])
    ]
    rows["calibration"] = [
        {"model": name, "confidence": row["confidence"], "accuracy": row["accuracy"], "n_lists": row["n_examples"]}
        for name, entry in models.items()
        for row in entry.get("calibration", {"bins": []})["bins"]
    ]
    return rows


def overlap(answered: Answered, first: str, second: str) -> dict[str, float]:
    """Shares of lists where both models hit, only one, or none; `either` is what choosing between them can reach."""
    hits = metric(_RATIO)
    ours, theirs = (hits(answered.predictions[name], answered.asked).astype(bool) for name in (first, second))
    shares = {
        "both": ours & theirs,
        f"only_{first}": ours & ~theirs,
        f"only_{second}": ~ours & theirs,
        "neither": ~ours & ~theirs,
        "either": ours | theirs,
    }
    return {name: float(np.mean(values)) for name, values in shares.items()}


def _row(model: str, entry: dict[str, Any], **which: Any) -> dict[str, Any]:
    return {"model": model, **which, **{bound: entry[bound] for bound in _BOUNDS}}
