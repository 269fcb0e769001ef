"""What a recommender trains on and what it is asked: chosen from the stored sequences by their splits."""

import numpy as np

from llara_core.params.params import Params
from llara_core.recommenders.ranking import RankingTask
from llara_core.recommenders.windows import TrainingSequences
from llara_core.sequences.windows import (
    Examples,
    all_positions,
    histories,
    items_before,
    last_positions,
    targets,
    training_bounds,
)
from llara_core.tables.sequences import Sequences


def training_sequences(sequences: Sequences, n_items: int) -> TrainingSequences:
    """Return the part of each user's sequence that trains."""
    return TrainingSequences(sequences.item_ids, *training_bounds(sequences), n_items=n_items)


def validation_task(params: Params, sequences: Sequences) -> RankingTask:
    """All positions of the validation users, or as many of them as `validation_examples` allows, evenly spread."""
    found = all_positions(sequences, "validation", params.split.min_history)
    limit = params.pretrain.validation_examples
    if limit is not None and len(found) > limit:
        kept = np.arange(limit) * len(found) // limit
        found = Examples(found.rows[kept], found.positions[kept])
    return _ranking_task(params, sequences, found)


def last_item_task(params: Params, sequences: Sequences, split: str) -> RankingTask:
    """Each user's last position of `split`."""
    return _ranking_task(params, sequences, last_positions(sequences, split))


def _ranking_task(params: Params, sequences: Sequences, examples: Examples) -> RankingTask:
    return RankingTask(
        histories(sequences, examples, params.split.history_length),
        targets(sequences, examples),
        items_before(sequences, examples) if params.pretrain.exclude_seen else None,
    )
