"""What was done to the data, and which lists were drawn, in numbers that a reader can check."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from llara_core.sequences.windows import count_positions, last_positions, targets
from llara_core.tables.candidates import SCOPES, CandidateSets
from llara_core.tables.items import Items
from llara_core.tables.sequences import SPLITS, Sequences

_USERS_AT_ONCE = 1 << 13
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
        "positions": {split: count_positions(sequences, split, min_history) for split in SPLITS},
        "candidate_sets": {scope: {split: len(sets.of(split, scope)) for split in SPLITS[1:]} for scope in SCOPES},
        "targets_unseen_in_training": {split: _unseen_share(sequences, items, split) for split in SPLITS[1:]},
        "time_spans": spans,
        "training_ends_before_test_begins": spans["train"]["last"] < spans["test"]["first"],
    }


def describe_lists(sets: CandidateSets, items: Items, more: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """By scope and split: how many lists and positions, and how popular targets and negatives are on average.

    Where targets are much more popular than negatives, or less, popularity alone tells them apart.

    Args:
        sets: R lists.
        items: the catalogue.
        more: further columns [R], of which the means are reported.
    """
    report: dict[str, Any] = {}
    for scope in SCOPES:
        for split in SPLITS[1:]:
            if (rows := (sets.scopes == scope) & (sets.splits == split)).any():
                means = {name: float(column[rows].mean()) for name, column in more.items()}
                report.setdefault(scope, {})[split] = {**_describe(sets.select(rows), items.popularity), **means}
    return report


def _describe(sets: CandidateSets, popularity: np.ndarray) -> dict[str, Any]:
    targets = int(popularity[sets.targets].sum())
    negatives = sum(int(popularity[place].sum()) for place in sets.candidates.T) - targets  # not all at once: memory
    n_negatives = sets.candidates.size - len(sets)
    return {
        "lists": len(sets),
        "positions": len(np.unique(sets.example_ids)),
        "mean_n_train": {"targets": targets / len(sets), "negatives": negatives / n_negatives},
    }


def _time_span(sequences: Sequences, split: str) -> dict[str, int]:
    spans = [sequences.timestamps[part][mask] for part, mask in sequences.parts_of(split) if mask.any()]
    return {"first": int(min(times.min() for times in spans)), "last": int(max(times.max() for times in spans))}


def _unseen_share(sequences: Sequences, items: Items, split: str) -> float:
    goals = targets(sequences, last_positions(sequences, split))
    return float((items.n_train[goals - 1] == 0).mean())


def _distinct_pairs(sequences: Sequences, n_items: int) -> int:
    distinct = 0
    for first in range(0, len(sequences), _USERS_AT_ONCE):
        last = min(first + _USERS_AT_ONCE, len(sequences))
        users = np.repeat(np.arange(last - first, dtype=np.int64), sequences.lengths[first:last])
        items = sequences.item_ids[sequences.offsets[first] : sequences.offsets[last]]
        distinct += len(np.unique(users * (n_items + 1) + items))
    return distinct
