"""What readers know the metrics, verdicts and properties of lists as."""

import re
from collections.abc import Callable, Mapping

from llara_core.evaluation.comparison_report import Verdict
from llara_core.reporting.table import Row

PROPERTIES: Mapping[str, str] = {
    "history_length": "items before the target",
    "target_n_train": "training interactions of the target",
}
VERDICTS: Mapping[Verdict, str] = {
    "first": "better",
    "second": "worse",
    "undecided": "can't be told apart",
    "alike": "alike on every list",
    "contradictory": "no claim",
}

_TONES: Mapping[str, str] = {"better": "good", "worse": "bad", "failed": "bad", "done": ""}


def metric_name(metric: str) -> str:
    """`hit_ratio_at_1` → `HitRatio@1`."""
    known = {"hit_ratio": "HitRatio", "ndcg": "NDCG", "mrr": "MRR", "valid_ratio": "ValidRatio"}
    name, cut = re.fullmatch(r"(.+?)(?:_at_(\d+))?", metric).groups()  # type: ignore[union-attr]
    return known.get(name, name) + (f"@{cut}" if cut else "")


def tone(key: str) -> Callable[[Row], str]:
    """Return how a cell's verdict or status stands out."""
    return lambda row: _TONES.get(row[key], "quiet")
