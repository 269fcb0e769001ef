"""What preprocessing did to the data, in numbers that a reader can check."""

from typing import Any

import numpy as np

from llara_core.sequences.windows import all_positions, last_positions, targets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import Items
from llara_core.tables.sequences import SPLITS, Sequences

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)


def describe_sequences(sequences: Sequences, items: Items, sets: CandidateSets, min_history: int) -> dict[str, Any]:
    """Return counts, density, lengths, unseen targets and time spans; overlapping spans: no split in time."""
    n_users, n_items, n = len(sequences), len(items), len(sequences.item_ids)
    lengths = np.quantile(sequences.lengths, _QUANTILES, method="nearest").astype(int)
    spans = {split: _time_span(sequences, split) for split in SPLITS}
    return {
        "users": {split: len(sequences.rows_of(split)) for split in SPLITS},
        "items": n_items,
        "items_unseen_in_training": int((items.n_train == 0).sum()),
        "interactions": n,
        "density": n / (n_users * n_items),
        "repeated_interactions": n - _distinct_pairs(sequences, n_items),
        "sequence_length_quantiles": dict(zip(map(str, _QUANTILES), lengths.tolist(), strict=True)),
        "positions": {split: len(all_positions(sequences, split, min_history)) for split in SPLITS},
        "candidate_sets": {split: len(sets.of(split)) for split in SPLITS[1:]},
        "targets_unseen_in_training": {split: _unseen_share(sequences, items, split) for split in SPLITS[1:]},
        "time_spans": spans,
        "training_ends_before_test_begins": spans["train"]["last"] < spans["test"]["first"],
    }


def count_training(sequences: Sequences, n_items: int) -> np.ndarray:
    """[n] int32 training interactions of each item."""
    return np.bincount(sequences.item_ids[_in_split(sequences, "train")], minlength=n_items + 1)[1:].astype(np.int32)


def _in_split(sequences: Sequences, split: str) -> np.ndarray:
    """[N] mask of the interactions in `split`."""
    start, end = (np.repeat(bound, sequences.lengths) for bound in sequences.segment(split))
    place = np.arange(len(sequences.item_ids)) - np.repeat(sequences.offsets[:-1], sequences.lengths)
    return (start <= place) & (place < end)


def _time_span(sequences: Sequences, split: str) -> dict[str, int]:
    times = sequences.timestamps[_in_split(sequences, split)]
    return {"first": int(times.min()), "last": int(times.max())}


def _unseen_share(sequences: Sequences, items: Items, split: str) -> float:
    goals = targets(sequences, last_positions(sequences, split))
    return float((items.n_train[goals - 1] == 0).mean())


def _distinct_pairs(sequences: Sequences, n_items: int) -> int:
    users = np.repeat(np.arange(len(sequences), dtype=np.int64), sequences.lengths)
    pairs = np.sort(users * (n_items + 1) + sequences.item_ids)
    return int(np.count_nonzero(np.diff(pairs))) + 1
