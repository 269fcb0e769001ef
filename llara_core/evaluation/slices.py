"""Parts of the stored lists: by how much the user had before, and by how well training knows the target."""

from collections.abc import Mapping

import numpy as np

from llara_core.tables.predictions import Asked

_HISTORIES = {
    "1–4": (1, 4),
    "5–9": (5, 9),
    "10–19": (10, 19),
    "20–49": (20, 49),
    "50–99": (50, 99),
    "100+": (100, None),
}
_POPULARITIES = {"0 (cold)": (0, 0), "1–4": (1, 4), "5–19": (5, 19), "20–99": (20, 99), "100+": (100, None)}


def slices_of(asked: Asked) -> Mapping[str, Mapping[str, np.ndarray]]:
    """[R] masks of the lists by property and range; an empty slice is absent."""
    return {
        "history_length": _masks(asked.sets.positions, _HISTORIES),
        "target_n_train": _masks(asked.target_n_train, _POPULARITIES),
    }


def _masks(values: np.ndarray, ranges: Mapping[str, tuple[int, int | None]]) -> Mapping[str, np.ndarray]:
    masks = {
        label: (values >= low) & (values <= (np.inf if high is None else high)) for label, (low, high) in ranges.items()
    }
    return {label: mask for label, mask in masks.items() if mask.any()}
