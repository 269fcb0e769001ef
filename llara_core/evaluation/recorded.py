"""The metrics that evaluation has left, where it was of these very artifacts."""

import json
from pathlib import Path
from typing import Any

from llara_core.errors import ArtifactError
from llara_core.runtime.paths import METRICS, PREDICTIONS
from llara_core.tables.lineage import Lineage
from llara_core.tables.predictions import LISTS, lineage_of_predictions

EVALUATED = METRICS / "evaluate.json"


def recorded_metrics(root: Path, lineage: Lineage) -> dict[str, dict[str, Any]] | None:
    """Read metrics/evaluate.json below `root`: a section for each model. None where it isn't of `lineage`'s artifacts.

    Raises:
        ArtifactError: it is damaged.
    """
    path = root / EVALUATED
    if not path.is_file() or not (root / PREDICTIONS / LISTS).is_file():
        return None
    made_from = lineage_of_predictions(root / PREDICTIONS)
    if any(made_from.get(name) != digest for name, digest in lineage.items()):
        return None
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path}: not readable metrics: {error}; run `dvc repro evaluate`") from error
    if not isinstance(metrics, dict) or not all(isinstance(section, dict) for section in metrics.values()):
        raise ArtifactError(
            f"{path}: not readable metrics: must hold a section for each model; run `dvc repro evaluate`"
        )
    return metrics
