"""predictions.parquet: what the language model answered, one row per candidate set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from llara_core.tables.candidates import CandidateSets
from llara_core.tables.lineage import Lineage
from llara_core.tables.parquet import write_table

NO_ITEM = 0
SCHEMA = pa.schema(
    [
        ("example_id", pa.int32()),
        ("draw", pa.int32()),
        ("user_id", pa.int32()),
        ("target", pa.int32()),
        ("answer", pa.string()),
        ("matched_item", pa.int32()),
        ("scores", pa.list_(pa.float32())),
        ("target_rank", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Predictions:
    """Answers to R candidate sets of C items.

    Attributes:
        answers: [R] the answer's text.
        matched_items: [R] the candidate it names, NO_ITEM if none or several.
        scores: [R, C] log-likelihood by candidate (nats), or None where the model wrote freely.
    """

    answers: list[str]
    matched_items: np.ndarray
    scores: np.ndarray | None


def write_predictions(path: Path, predictions: Predictions, sets: CandidateSets, made_from: Lineage) -> None:
    """Write predictions.parquet; scores and target_rank (1 is best, ties count against) are null without scores."""
    n = len(sets)
    if predictions.scores is None:
        scores, ranks = pa.nulls(n, pa.list_(pa.float32())), pa.nulls(n, pa.int32())
    else:
        own = np.take_along_axis(predictions.scores, sets.target_indices[:, None], axis=1)
        ranks = pa.array((predictions.scores >= own).sum(axis=1).astype(np.int32))
        offsets = np.arange(0, predictions.scores.size + 1, predictions.scores.shape[1], dtype=np.int32)
        scores = pa.ListArray.from_arrays(offsets, predictions.scores.astype(np.float32).reshape(-1))
    ids = [values.astype(np.int32) for values in (sets.example_ids, sets.draws, sets.user_ids, sets.targets)]
    columns = [*ids, pa.array(predictions.answers), predictions.matched_items.astype(np.int32), scores, ranks]
    write_table(path, pa.table(columns, schema=SCHEMA), made_from)
