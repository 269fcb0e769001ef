"""Interactions as arrays of integer codes: what filters and grouping work on, for any type of raw id."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llara_core.errors import DataError


@dataclass(frozen=True)
class Interactions:
    """N interactions.

    Attributes:
        users: [N] int32 index into raw_users.
        items: [N] int32 index into the catalogue.
        ratings: [N] float32, NaN where there is none.
        timestamps: [N] int64 seconds.
        raw_users: raw user ids, ascending.
        n_items: size of the catalogue.
    """

    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    timestamps: np.ndarray
    raw_users: pa.Array
    n_items: int

    def __len__(self) -> int:
        """Return the number of interactions."""
        return len(self.users)

    def keep(self, mask: np.ndarray) -> Self:
        """Return the interactions where `mask` [N] is True, in the same order and with the same codes."""
        columns = {name: getattr(self, name)[mask] for name in ("users", "items", "ratings", "timestamps")}
        return replace(self, **columns)


def encode_interactions(table: pa.Table, catalogue: pa.Array) -> Interactions:
    """Encode a log's columns user, item, rating and timestamp; `catalogue` holds the unique raw item ids.

    Raises:
        DataError: there are no interactions, or one of them has no user, no timestamp or an unknown item.
    """
    if not len(table):
        raise DataError("the raw data must hold interactions, got none")
    for name in ("user", "item", "timestamp"):
        if missing := table[name].null_count:
            raise DataError(f"the raw data must have a {name} in every interaction, got {missing} without")
    for name in ("user", "item"):
        if pa.types.is_integer(table[name].type) and (smallest := pc.min(table[name]).as_py()) < 0:
            raise DataError(f"the raw data must have {name} ids ≥ 0, got {smallest}")
    items = pc.index_in(table["item"], catalogue)
    if items.null_count:
        unknown = table["item"].filter(pc.is_null(items))[0]
        raise DataError(f"the raw data must list every item that is interacted with, got unlisted item {unknown}")
    encoded = pc.dictionary_encode(table["user"]).combine_chunks()
    order = pc.array_sort_indices(encoded.dictionary)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    return Interactions(
        users=rank[encoded.indices.to_numpy()],
        items=items.to_numpy().astype(np.int32),
        ratings=table["rating"].to_numpy().astype(np.float32),
        timestamps=table["timestamp"].to_numpy().astype(np.int64),
        raw_users=encoded.dictionary.take(order),
        n_items=len(catalogue),
    )
