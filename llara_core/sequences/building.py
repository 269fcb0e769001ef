"""From filtered interactions to contiguous ids and chronological sequences."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from llara_core.sequences.encoding import Interactions


@dataclass(frozen=True)
class Grouped:
    """Interactions grouped by user and in time, before they are divided into splits.

    Attributes:
        raw_users: [U] raw ids, ascending.
        offsets: [U + 1] int64.
        item_ids: [N] int32, 1 to n.
        timestamps: [N] int64, seconds.
        catalogue: [n] int64 index in the raw catalogue of item id 1, 2, …

    """

    raw_users: pa.Array
    offsets: np.ndarray
    item_ids: np.ndarray
    timestamps: np.ndarray
    catalogue: np.ndarray


def group_by_user(log: Interactions, *, ties: str, unused_items: str) -> Grouped:
    """Sort each user's interactions by time and number users and items without gaps.

    Args:
        log: what the filters left.
        ties: which of two interactions at the same time comes first. `file_order`: the one that stands first in the
            file, as in the authors' stable sort; `item_id`: the one whose item stands first in the catalogue, so that
            the order of rows doesn't matter.
        unused_items: `keep` the items that nobody has interacted with, as possible negatives, or `drop` them.

    """
    order = np.lexsort((log.items, log.timestamps, log.users) if ties == "item_id" else (log.timestamps, log.users))
    users = log.users[order]
    starts = np.flatnonzero(np.concatenate(([True], users[1:] != users[:-1])))
    used = np.arange(log.n_items) if unused_items == "keep" else np.unique(log.items)
    new_ids = np.zeros(log.n_items, dtype=np.int32)
    new_ids[used] = np.arange(1, len(used) + 1, dtype=np.int32)
    return Grouped(
        raw_users=log.raw_users.take(pa.array(users[starts])),
        offsets=np.append(starts, len(users)).astype(np.int64),
        item_ids=new_ids[log.items[order]],
        timestamps=log.timestamps[order],
        catalogue=used,
    )
