"""Training curves of a suite's runs: all rows for the CSV, and few enough points for a plot."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from llara_core.reporting.results import RunResult

_POINTS, _SHARES = 48, 12  # of a line at most; more can't be seen at the width of a phone, or are of too few batches
_COLUMNS = (
    "step",
    "loss",
    "validation",
    "hybrid_probability",
    "hybrid_share",
    "learning_rate",
    "examples_per_second",
)


def curve_rows(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Every step of every run."""
    return [
        {"arm": run.arm, "seed": run.seed, **{name: row.get(name) for name in _COLUMNS}}
        for run in runs
        for row in run.curve
    ]


def thinned(run: RunResult, column: str) -> list[dict[str, Any]]:
    """Means of a column over stretches of equally many rows that have it, where there are more than a plot shows."""
    return [{"arm": run.arm, "seed": run.seed, **point} for point in _means(_known([run], column), _POINTS)]


def _known(runs: Sequence[RunResult], column: str) -> list[tuple[float, float]]:
    """Step and value, of every row that has a value."""
    found = []
    for run in runs:
        for row in run.curve:
            step, value = row.get("step"), row.get(column)
            if step is not None and value is not None:
                found.append((step, value))
    return found


def _means(known: list[tuple[float, float]], n_points: int) -> list[dict[str, float]]:
    if not known:
        return []
    parts = np.array_split(np.array(sorted(known)), min(n_points, len(known)))
    return [{"step": float(part[:, 0].mean()), "value": float(part[:, 1].mean())} for part in parts]


def tuning_seconds(run: RunResult) -> float | None:
    """Seconds that the steps of a tuning took, by their speeds; None where one isn't known."""
    speeds = [row.get("examples_per_second") for row in run.curve]
    if run.examples is None or not speeds:
        return None
    batch = run.examples / len(speeds)
    return sum(batch / speed for speed in speeds if speed) if all(speeds) else None


def hybrid_shares(arm: str, runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Intended probability and realised share of hybrid examples, over all seeds of an arm.

    A batch is hybrid or it isn't: only many of them show a share.
    """
    own = [run for run in runs if run.arm == arm]
    return [
        {"arm": arm, "kind": kind, "seed": "all", **point}
        for column, kind in (("hybrid_probability", "intended"), ("hybrid_share", "realised"))
        for point in _means(_known(own, column), _SHARES)
    ]
