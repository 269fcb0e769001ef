"""Rows of the CSV files that DVC plots, from the details of a report."""

from typing import Any

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


def _row(model: str, entry: dict[str, Any], **which: Any) -> dict[str, Any]:
    return {"model": model, **which, **{bound: entry[bound] for bound in _BOUNDS}}
