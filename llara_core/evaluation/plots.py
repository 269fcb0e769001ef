"""What is plotted of an evaluation: rows of CSV files, which DVC plots, and pictures of the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llara_core.plotting.plot import Plot, Rows

_RATIO, _AXIS = "hit_ratio_at_1", "HitRatio@1"
_OVERLAP = {
    "both": "both",
    "only_llara": "only llara",
    "only_recommender": "only recommender",
    "neither": "neither",
    "either": "either: the ceiling",
}
_NAMED_PARTS = 6  # at most, whose sizes a caption tells one by one
PLOTS: Mapping[str, Plot] = {
    "models": Plot("HitRatio@1 by model", "bars", x=_RATIO, x_label=_AXIS, y="model", y_label="model"),
    "by_history_length": Plot(
        "HitRatio@1 by length of the history",
        "parts",
        x="history_length",
        x_label="items before the target",
        y=_RATIO,
        y_label=_AXIS,
    ),
    "by_target_n_train": Plot(
        "HitRatio@1 by popularity of the target",
        "parts",
        x="target_n_train",
        x_label="training interactions",
        y=_RATIO,
        y_label=_AXIS,
    ),
    "by_place": Plot(
        "HitRatio@1 by place of the target", "parts", x="place", x_label="place in the list", y=_RATIO, y_label=_AXIS
    ),
    "calibration": Plot(
        "confidence and accuracy",
        "calibration",
        x="confidence",
        x_label="confidence",
        y="accuracy",
        y_label="share of right choices",
    ),
    "overlap": Plot("overlap of hits", "bars", x="share", x_label="share of lists", y="hit_by", y_label="hit by"),
}
"""By the name of the CSV file; dvc.yaml says the same."""


def plot_rows(details: Mapping[str, Any]) -> dict[str, Rows]:
    """By plot, rows with shares and their 95 % intervals: models from the best on, as the table has them."""
    models = sorted(details["models"].items(), key=lambda named: (-named[1][_RATIO], named[0]))
    rows: dict[str, Rows] = {"models": [{"model": name, **_share(_RATIO, entry)} for name, entry in models]}
    for name in ("by_history_length", "by_target_n_train", "by_place"):
        part = PLOTS[name].x
        rows[name] = [
            {"model": model, part: row[part], **_share(_RATIO, row), **_counts(row)}
            for model, entry in models
            for row in _parts(part, entry.get(name, []))
        ]
    rows["calibration"] = [
        {"model": model, "confidence": row["confidence"], **_share("accuracy", row), **_counts(row)}
        for model, entry in models
        for row in entry.get("calibration", {"bins": []})["bins"]
    ]
    overlap = details.get("overlap")
    rows["overlap"] = [
        {"hit_by": shown, **_share("share", overlap, name)} for name, shown in _OVERLAP.items() if overlap
    ]
    return rows


def pictures(rows: Mapping[str, Rows], lists: Mapping[str, int], templates: Path) -> dict[str, bytes]:
    """By plot that has rows, a PNG of them.

    Args:
        rows: by plot, as `plot_rows` gives them.
        lists: `n_lists` and `n_users` that were asked about.
        templates: the folder .dvc/plots.
    """
    of_all = f"{lists['n_lists']:,} lists of {lists['n_users']:,} users"
    found = {}
    for name, plot in PLOTS.items():
        if rows[name]:
            sizes = [_sizes(plot.x, rows[name])] if plot.template == "parts" else []
            found[name] = plot.draw(rows[name], templates, [of_all, *sizes])
    return found


def _parts(name: str, parts: dict[str, Any] | list[Any]) -> list[dict[str, Any]]:
    """Rows that hold the part's name, whether they do so already or are listed by it."""
    return [{name: part, **row} for part, row in parts.items()] if isinstance(parts, dict) else parts


def _share(name: str, entry: Mapping[str, Any], there: str | None = None) -> dict[str, float]:
    return {f"{name}{bound}": entry[f"{there or name}{bound}"] for bound in ("", "_low", "_high")}


def _counts(row: Mapping[str, Any]) -> dict[str, int]:
    return {"n_lists": row["n_lists" if "n_lists" in row else "n_examples"], "n_users": row["n_users"]}


def _sizes(part: str, rows: Rows) -> str:
    """How many lists and users the parts have, which are the same ones for every model."""
    parts = [row for row in rows if row["model"] == rows[0]["model"]]
    if len(parts) > _NAMED_PARTS:
        numbers = [row["n_lists"] for row in parts]
        return f"{min(numbers):,} to {max(numbers):,} lists a point"
    return "lists (users): " + ", ".join(f"{row[part]}: {row['n_lists']:,} ({row['n_users']:,})" for row in parts)
