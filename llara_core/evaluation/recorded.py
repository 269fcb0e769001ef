"""The metrics of the last evaluation, if they are of these artifacts and of the predictions that lie beside them.

Metrics are in git and predictions are not: after `git checkout` the two may be of different evaluations, although each
is whole. So the metrics have to be what the predictions give.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from llara_core.errors import ArtifactError
from llara_core.evaluation.blending import blend
from llara_core.evaluation.per_list import metric
from llara_core.runtime.paths import METRICS, PREDICTIONS
from llara_core.tables.lineage import Lineage
from llara_core.tables.predictions import LISTS, Answered, lineage_of_predictions, read_predictions

EVALUATED = METRICS / "evaluate.json"
_HIT, _WEIGHT = "hit_ratio_at_1", "weight"
_LLARA, _RECOMMENDER, _TOGETHER = "llara", "recommender", "llara_with_recommender"
_ROUNDED, _CLOSE = 1e-5, 1e-3  # of metrics, which have six digits, and of scores; weights are 0.05 apart


def recorded_metrics(root: Path, lineage: Lineage) -> dict[str, dict[str, Any]] | None:
    """Read metrics/evaluate.json below `root`: a section for each model.

    None where it isn't of `lineage`'s artifacts, or not of the predictions.

    Raises:
        ArtifactError: metrics or predictions are damaged.
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
    return metrics if _are_of(metrics, read_predictions(root / PREDICTIONS)) else None


def _are_of(metrics: Mapping[str, Mapping[str, Any]], answered: Answered) -> bool:
    """Whether each model's hits, and the scores of both models together, are those of the metrics."""
    if {name for name, section in metrics.items() if _HIT in section} != answered.predictions.keys():
        return False
    for name, predictions in answered.predictions.items():
        told, found = metrics[name].get(_HIT), float(metric(_HIT)(predictions, answered.asked).mean())
        if not isinstance(told, int | float) or abs(told - found) > _ROUNDED:
            return False
    weight = metrics.get(_TOGETHER, {}).get(_WEIGHT)
    if not (isinstance(weight, int | float) and 0 <= weight <= 1):
        return True  # whoever needs it says what is wrong with it
    blended = (_LLARA, _RECOMMENDER, _TOGETHER)
    if not answered.predictions.keys() >= set(blended):
        return False
    scores = [answered.predictions[name].scores for name in blended]
    ours, theirs, together = (None if table is None else table.astype(np.float64) for table in scores)
    if ours is None or theirs is None or together is None:
        return False
    return bool(np.allclose(blend(ours, theirs, weight), together, rtol=0, atol=_CLOSE))
