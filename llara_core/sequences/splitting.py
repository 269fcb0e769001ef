"""Dividing interactions into training, validation and test: by user, by position or by time."""

from typing import Any

import numpy as np
import pyarrow as pa

from llara_core.errors import DataError
from llara_core.params.sections import Split
from llara_core.sequences.building import Grouped
from llara_core.tables.sequences import SPLITS, Sequences


def split_sequences(grouped: Grouped, params: Split, user_splits: dict[Any, str] | None = None) -> Sequences:
    """Set each sequence's train_end and validation_end; `user_splits` is the split that the dataset comes with.

    Raises:
        DataError: a split would be empty.
    """
    rules = {
        "first_interaction": _by_first_interaction,
        "leave_one_out": _leave_one_out,
        "global_time": _by_global_time,
    }
    if params.name == "given":
        train_end, validation_end = _as_given(grouped, user_splits)
    else:
        train_end, validation_end = rules[params.name](grouped, params)
    sequences = Sequences(
        user_ids=np.arange(1, len(grouped.raw_users) + 1, dtype=np.int32),
        raw_user_ids=grouped.raw_users.cast(pa.string()),
        train_end=train_end.astype(np.int32),
        validation_end=validation_end.astype(np.int32),
        offsets=grouped.offsets,
        item_ids=grouped.item_ids,
        timestamps=grouped.timestamps,
    )
    for split in SPLITS:
        if not len(sequences.rows_of(split)):
            raise DataError(f"split: {split} must hold at least one of the {len(sequences)} users, got none")
    return sequences


def _by_first_interaction(grouped: Grouped, params: Split) -> tuple[np.ndarray, np.ndarray]:
    """Rank users by their first timestamp: the earliest train, the next validate, the latest test.

    This is the paper's protocol as its released split shows it. Equal timestamps are ordered by raw user id.
    """
    lengths = np.diff(grouped.offsets)
    ranking = np.argsort(grouped.timestamps[grouped.offsets[:-1]], kind="stable")
    first_validation, first_test = (_floor(len(lengths) * share) for share in _cumulative_shares(params))
    train_end, validation_end = lengths.copy(), lengths.copy()
    train_end[ranking[first_validation:]] = 0
    validation_end[ranking[first_test:]] = 0
    return train_end, validation_end


def _leave_one_out(grouped: Grouped, params: Split) -> tuple[np.ndarray, np.ndarray]:
    """Test on each user's last item and validate on the one before; users with fewer than three items only train."""
    lengths = np.diff(grouped.offsets)
    enough = lengths >= 3
    return lengths - 2 * enough, lengths - enough


def _by_global_time(grouped: Grouped, params: Split) -> tuple[np.ndarray, np.ndarray]:
    """Cut all sequences at the same two points in time, the quantiles at which validation and test begin."""
    ordered = np.sort(grouped.timestamps)
    cuts = [ordered[_floor(len(ordered) * share)] for share in _cumulative_shares(params)]
    return tuple(  # type: ignore[return-value]
        np.add.reduceat((grouped.timestamps < cut).astype(np.int64), grouped.offsets[:-1]) for cut in cuts
    )


def _as_given(grouped: Grouped, user_splits: dict[Any, str] | None) -> tuple[np.ndarray, np.ndarray]:
    if user_splits is None:
        raise DataError("split.name must not be given for a dataset without a split of its own")
    lengths = np.diff(grouped.offsets)
    names = np.array([user_splits[user] for user in grouped.raw_users.to_pylist()])
    return lengths * (names == "train"), lengths * (names != "test")


def _cumulative_shares(params: Split) -> tuple[float, float]:
    return 1 - params.validation - params.test, 1 - params.test


def _floor(number: float) -> int:
    """Round down, but not for 1 - .1 - .1 = .7999…, which would cost a user."""
    return int(round(number, 9))
