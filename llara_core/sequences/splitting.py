"""Dividing users into training, validation and test."""

import numpy as np
import pyarrow as pa

from llara_core.errors import DataError
from llara_core.sequences.building import Grouped
from llara_core.tables.sequences import Sequences


def split_by_first_interaction(grouped: Grouped, validation: float, test: float) -> Sequences:
    """Rank users by their first timestamp: the earliest train, the next validate, the latest test.

    This is the paper's protocol as its released split shows it. Equal timestamps are ordered by raw user id.

    Raises:
        DataError: a split would be empty.

    """
    n = len(grouped.raw_users)
    # Rounding guards against 1 - .1 - .1 = .7999…, which would cost a user.
    cuts = [int(round(n * share, 9)) for share in (1 - validation - test, 1 - test)]
    ranking = np.argsort(grouped.timestamps[grouped.offsets[:-1]], kind="stable")
    splits = np.empty(n, dtype=object)
    for name, part in zip(("train", "validation", "test"), np.split(ranking, cuts), strict=True):
        if not len(part):
            raise DataError(f"split: {name} must hold at least one of the {n} users, got none")
        splits[part] = name
    return Sequences(
        user_ids=np.arange(1, n + 1, dtype=np.int32),
        raw_user_ids=pa.array(grouped.raw_users.astype(str), pa.string()),
        splits=splits,
        offsets=grouped.offsets,
        item_ids=grouped.item_ids,
        timestamps=grouped.timestamps,
    )
