"""Which interactions count: rating, repeats, activity, sampling, k-core; each step is reported."""

import numpy as np

from llara_core.errors import DataError
from llara_core.params.datasets import Filters
from llara_core.sequences.encoding import Interactions
from llara_core.sequences.random_words import random_words

USER_STREAM, ITEM_STREAM = 0x55736572, 0x4974656D  # "User", "Item": streams of random words


def filter_interactions(
    log: Interactions, filters: Filters, seed: int
) -> tuple[Interactions, dict[str, dict[str, int]]]:
    """Apply the filters in their order; a step that its parameter switches off is left out of the report.

    Returns:
        what is left, and the numbers of interactions, users and items before and after each step.

    Raises:
        DataError: a step leaves nothing.
    """
    steps = {
        "min_rating": (filters.min_rating is not None, lambda log: log.ratings >= filters.min_rating),
        "repeats": (filters.repeats == "drop", first_of_pair),
        "min_user_interactions": (
            filters.min_user_interactions > 1,
            lambda log: _counts(log.users)[log.users] >= filters.min_user_interactions,
        ),
        "user_share": (filters.user_share < 1, lambda log: _sample(log.users, filters.user_share, seed, USER_STREAM)),
        "item_share": (filters.item_share < 1, lambda log: _sample(log.items, filters.item_share, seed, ITEM_STREAM)),
        "core": (
            max(filters.core_users, filters.core_items) > 1,
            lambda log: k_core(log.users, log.items, filters.core_users, filters.core_items),
        ),
    }
    if filters.min_rating is not None and (missing := int(np.isnan(log.ratings).sum())):
        raise DataError(f"datasets.*.filters.min_rating needs a rating in every interaction, got {missing} without")
    report = {"raw": describe(log)}
    for name, (is_on, choose) in steps.items():
        if not is_on:
            continue
        before, log = len(log), log.keep(choose(log))
        if not len(log):
            raise DataError(f"datasets.*.filters.{name} must leave interactions, got none of {before}")
        report[name] = describe(log)
    return log, report


def describe(log: Interactions) -> dict[str, int]:
    """Return the numbers of interactions, and of users and items that have any."""
    return {
        "interactions": len(log),
        "users": int(np.count_nonzero(_counts(log.users))),
        "items": int(np.count_nonzero(_counts(log.items))),
    }


def first_of_pair(log: Interactions) -> np.ndarray:
    """[N] mask of each user's earliest interaction with each item; equal times: the first in the log."""
    order = np.lexsort((log.timestamps, log.items, log.users))
    users, items = log.users[order], log.items[order]
    is_first = np.ones(len(log), dtype=bool)
    is_first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    mask = np.zeros(len(log), dtype=bool)
    mask[order[is_first]] = True
    return mask


def k_core(users: np.ndarray, items: np.ndarray, min_user: int, min_item: int) -> np.ndarray:
    """[N] mask of the largest subset in which every user has min_user and every item min_item interactions."""
    kept = np.arange(len(users))
    while True:
        stays = (_counts(users[kept])[users[kept]] >= min_user) & (_counts(items[kept])[items[kept]] >= min_item)
        if stays.all():
            mask = np.zeros(len(users), dtype=bool)
            mask[kept] = True
            return mask
        kept = kept[stays]


def _counts(codes: np.ndarray) -> np.ndarray:
    return np.bincount(codes, minlength=1)


def sampled_codes(used: np.ndarray, share: float, seed: int, stream: int) -> np.ndarray:
    """Choose round(share × n) of n ascending codes by (seed, rank of the code), whatever the order of rows."""
    order = np.argsort(random_words(seed, stream, np.arange(len(used))), kind="stable")
    return used[order[: round(share * len(used))]]


def _sample(codes: np.ndarray, share: float, seed: int, stream: int) -> np.ndarray:
    used = np.unique(codes)
    chosen = np.zeros(int(used[-1]) + 1, dtype=bool)
    chosen[sampled_codes(used, share, seed, stream)] = True
    return chosen[codes]
