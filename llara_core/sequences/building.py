"""From a raw log to contiguous ids and chronological sequences."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llara_core.errors import DataError


@dataclass(frozen=True)
class Grouped:
    """Interactions grouped by user and in time, before users are divided into splits.

    Attributes:
        raw_users: [U] int64, ascending.
        offsets: [U + 1] int64.
        item_ids: [N] int32, 1 to n.
        timestamps: [N] int64, seconds.

    """

    raw_users: np.ndarray
    offsets: np.ndarray
    item_ids: np.ndarray
    timestamps: np.ndarray


def keep_rated(interactions: pa.Table, min_rating: float) -> pa.Table:
    """Keep interactions rated `min_rating` or better.

    Raises:
        DataError: when none is left.

    """
    kept = interactions.filter(pc.greater_equal(interactions["rating"], min_rating))
    if not len(kept):
        raise DataError(
            f"datasets.min_rating must leave interactions, got none of {len(interactions)} with rating ≥ {min_rating:g}"
        )
    return kept


def group_by_user(interactions: pa.Table, raw_items: pa.Int64Array) -> Grouped:
    """Sort each user's interactions by time; equal times keep the file's order, as the authors' stable sort does.

    Args:
        interactions: columns user, item, timestamp.
        raw_items: [n] ascending raw ids; the item at index i gets id i + 1.

    """
    users = interactions["user"].to_numpy()
    timestamps = interactions["timestamp"].to_numpy()
    item_ids = np.searchsorted(raw_items.to_numpy(), interactions["item"].to_numpy()).astype(np.int32) + 1
    order = np.lexsort((timestamps, users))
    raw_users, counts = np.unique(users, return_counts=True)
    return Grouped(raw_users, np.concatenate(([0], np.cumsum(counts))), item_ids[order], timestamps[order])
