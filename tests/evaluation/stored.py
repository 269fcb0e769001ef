"""Stored lists and answers made by hand."""

import numpy as np

from llara_core.tables.predictions import NO_ITEM, NONE, SCORED, WHOLE, Asked, Predictions
from tests.factories import make_sets

CANDIDATES = np.array([[4, 5, 6], [5, 7, 4], [6, 4, 8], [9, 8, 7]], dtype=np.int32)


def make_asked(users: list[int], draws: list[int] | None = None) -> Asked:
    """One list for each of `users`, whose target is the first of three candidates."""
    n = len(users)
    candidates = CANDIDATES[np.arange(n) % len(CANDIDATES)]
    sets = make_sets(
        example_ids=[user * 10 for user in users],
        draws=draws or [0] * n,
        user_ids=users,
        positions=[12] * n,
        targets=candidates[:, 0].tolist(),
        candidates=candidates.tolist(),
    )
    return Asked(sets, np.full(candidates.shape, 30, dtype=np.int32))


def make_scored(asked: Asked, hits: list[int]) -> Predictions:
    """Answers by score, which rank the target first where it is hit, and else last."""
    hit = np.array(hits, dtype=bool)
    scores = np.where(hit[:, None], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]).astype(np.float32)
    best = asked.sets.candidates[np.arange(len(hit)), scores.argmax(axis=1)]
    return Predictions([f"item {item}" for item in best], [SCORED] * len(hit), best, scores)


def make_written(asked: Asked, named: list[int | None]) -> Predictions:
    """Answers in free words, which name the candidate at that place of the list, or none."""
    items = [
        NO_ITEM if place is None else int(row[place]) for row, place in zip(asked.sets.candidates, named, strict=True)
    ]
    matches = [NONE if place is None else WHOLE for place in named]
    return Predictions([f"item {item}" for item in items], matches, np.array(items, dtype=np.int32), None)
