"""From filtered interactions to contiguous ids and chronological sequences."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from llara_core.errors import ParamsError
from llara_core.sequences.encoding import Interactions
from llara_core.sequences.release_order import release_order


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
        ties: which of two interactions at the same time comes first. `release_order`: as in the LLaRA authors' release;
            `file_order`: the one that stands first in the file; `item_id`: the one whose item stands first in the
            catalogue, so that the order of rows doesn't matter.
        unused_items: `keep` the items that nobody has interacted with, as possible negatives, or `drop` them.
    """
    order = _chronological_order(log, ties)
    users, items, timestamps = log.users[order], log.items[order], log.timestamps[order]
    return from_sorted(users, items, timestamps, log.raw_users, log.n_items, unused_items=unused_items)


def _chronological_order(log: Interactions, ties: str) -> np.ndarray:
    """[N] indices that sort by user and time."""
    match ties:
        case "item_id":
            return np.lexsort((log.items, log.timestamps, log.users))
        case "file_order":
            return np.lexsort((log.timestamps, log.users))
        case "release_order":
            by_user = np.argsort(log.users, kind="stable")
            return by_user[release_order(_starts_of_runs(log.users[by_user]), log.timestamps[by_user])]
    raise ParamsError(f"ties must be release_order, file_order or item_id, got {ties!r}")


def _starts_of_runs(users: np.ndarray) -> np.ndarray:
    """[U + 1] where each user begins in the sorted `users` [N], and N."""
    return np.append(np.flatnonzero(np.concatenate(([True], users[1:] != users[:-1]))), len(users))


def from_sorted(
    users: np.ndarray,
    items: np.ndarray,
    timestamps: np.ndarray,
    raw_users: pa.Array,
    n_items: int,
    *,
    unused_items: str,
) -> Grouped:
    """Renumber users and items without gaps; columns [N] are sorted by user and time, `items` is overwritten."""
    offsets = _starts_of_runs(users)
    used = np.arange(n_items) if unused_items == "keep" else np.flatnonzero(np.bincount(items, minlength=n_items))
    new_ids = np.zeros(n_items, dtype=np.int32)
    new_ids[used] = np.arange(1, len(used) + 1, dtype=np.int32)
    np.take(new_ids, items, out=items, mode="clip")
    return Grouped(
        raw_users=raw_users.take(pa.array(users[offsets[:-1]])),
        offsets=offsets.astype(np.int64),
        item_ids=items,
        timestamps=timestamps,
        catalogue=used,
    )
