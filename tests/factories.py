"""Small data made by hand."""

import numpy as np
import pyarrow as pa

from llara_core.params.datasets import Filters
from llara_core.tables.sequences import Sequences

KEEP_ALL = Filters(
    min_rating=None,
    repeats="keep",
    min_user_interactions=1,
    user_share=1.0,
    item_share=1.0,
    core_users=1,
    core_items=1,
    unused_items="keep",
    ties="item_id",
)


def make_sequences(lists: list[list[int]], splits: list[str]) -> Sequences:
    """Users 1, 2, … with the given item ids, each wholly in one split; time goes on from user to user."""
    lengths = np.array([len(items) for items in lists])
    is_train, is_validation = (np.array([name == split for name in splits]) for split in ("train", "validation"))
    return Sequences(
        user_ids=np.arange(1, len(lists) + 1, dtype=np.int32),
        raw_user_ids=pa.array([str(user) for user in range(len(lists))]),
        train_end=(lengths * is_train).astype(np.int32),
        validation_end=(lengths * (is_train | is_validation)).astype(np.int32),
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        item_ids=np.concatenate(lists).astype(np.int32),
        timestamps=np.arange(lengths.sum()),
    )
