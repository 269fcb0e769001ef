"""What is recommended, beyond whether it is right: how much of the catalogue, how unevenly, how new and how varied.

Novelty and serendipity are RecTools' MeanInvUserFreq@k and Serendipity@k (github.com/MobileTeleSystems/RecTools,
rectools/metrics/{novelty,serendipity}.py), and give its numbers for lists without invalid answers. Where models choose
from stored candidate lists, all of them are bounded by what these lists hold: compare models on the same lists only.
"""

import numpy as np

from llara_core.evaluation.statistics import mean_with_interval
from llara_core.tables.predictions import NO_ITEM

_MAX_COSINE_DISTANCE = 2.0


def coverage(recommended: np.ndarray, n_items: int) -> float:
    """Share of the catalogue's items that are recommended to anybody.

    Args:
        recommended: [E, k] item ids in 1..n_items, NO_ITEM for an invalid answer.
        n_items: of the catalogue.
    """
    return float((_times_recommended(recommended, n_items) > 0).mean())


def gini(recommended: np.ndarray, n_items: int) -> float:
    """Gini coefficient of how often each item is recommended: 0 all equally, (n − 1) / n one item alone.

    G = Σ (2i − n − 1) x_i / (n Σ x_i) over all n items of the catalogue, x_1 ≤ … ≤ x_n.

    Args:
        recommended: [E, k] item ids in 1..n_items, NO_ITEM for an invalid answer.
        n_items: of the catalogue.

    Raises:
        ValueError: nothing is recommended.
    """
    times = np.sort(_times_recommended(recommended, n_items))
    if not times.any():
        raise ValueError("recommended must hold an item, got none")
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ times / (n_items * times.sum()))


def novelty(recommended: np.ndarray, n_train: np.ndarray, n_users_train: int) -> np.ndarray:
    """[E] mean self-information, in bits, of what each list recommends; NaN for a list of invalid answers alone.

    An item's self-information is −log2 of the share of training users who had it. We have its interactions, not its
    users: share = min(max(interactions, 1), users) / users. That is RecTools' MeanInvUserFreq@k where a user has an
    item at most once; where users repeat items it counts the repeats too, and a share ends at 1. As in RecTools, an
    item without interactions counts as had by one user. Invalid answers are left out of a list's mean, not counted as
    0.

    Args:
        recommended: [E, k] item ids, NO_ITEM for an invalid answer.
        n_train: [n_items + 1] training interactions of each item; 0 is padding.
        n_users_train: training users, those who made the interactions.
    """
    if n_users_train < 1:
        raise ValueError(f"n_users_train must be ≥ 1, got {n_users_train}")
    information = np.log2(n_users_train / np.clip(n_train, 1, n_users_train))
    named = recommended != NO_ITEM
    sizes = named.sum(axis=1)
    totals = np.where(named, information[recommended], 0.0).sum(axis=1)
    return np.where(sizes > 0, totals / np.maximum(sizes, 1), np.nan)


def serendipity(recommended: np.ndarray, targets: np.ndarray, n_train: np.ndarray, n_items: int) -> np.ndarray:
    """[E] how much higher than by popularity each list ranks the one item that is right; 0 for a list without it.

    RecTools' Serendipity@k: Σ over ranks i of max(p_i − pu_i, 0) · relevance_i / k, where p_i is
    (n_items + 1 − i) / n_items and pu_i is (n_items + 1 − popularity rank) / n_items. Popularity ranks are dense: items
    of equally many interactions share one, and the next has the next number; pu is 0 for an item without interactions.
    An invalid answer is never right and counts among the k.

    Args:
        recommended: [E, k] item ids by rank, NO_ITEM for an invalid answer.
        targets: [E] the item that is right.
        n_train: [n_items + 1] training interactions of each item; 0 is padding.
        n_items: of the catalogue.
    """
    if len(n_train) != n_items + 1:
        raise ValueError(f"n_train must have {n_items + 1} numbers, padding and {n_items} items, got {len(n_train)}")
    k = recommended.shape[1]
    own = 1 - np.arange(k) / n_items
    surprise = np.maximum(own - _popularity_scores(n_train, n_items)[recommended], 0)
    relevant = (recommended == targets[:, None]) & (recommended != NO_ITEM)
    return (surprise * relevant).sum(axis=1) / k


def intra_list_diversity(recommended: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """[E] mean distance, 1 − cosine, over the pairs of items of each list: 0 all alike, at most 2.

    A vector of zeros has no direction: its cosine with any other counts as 0. Invalid answers are left out.

    Args:
        recommended: [E, k] item ids, NO_ITEM for an invalid answer.
        vectors: [n_items + 1, d] of each item; 0 is padding.

    Raises:
        ValueError: a list has fewer than two items, and so no pair, as where k = 1.
    """
    sizes = (recommended != NO_ITEM).sum(axis=1)
    if (short := sizes < 2).any():
        row = int(np.argmax(short))
        raise ValueError(f"recommended must have at least 2 items in each list, got {sizes[row]} in list {row}")
    directions = np.array(vectors, dtype=np.float64)
    directions[NO_ITEM] = 0
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions /= np.where(lengths > 0, lengths, 1)
    total = np.zeros((len(recommended), directions.shape[1]))
    for items in recommended.T:  # rank by rank: [E, k, d] of a language model's vectors would be gigabytes
        total += directions[items]
    # |Σ u|² is the sum of cosines over all ordered pairs, those of items with themselves included.
    cosines = (total**2).sum(axis=1) - (directions**2).sum(axis=1)[recommended].sum(axis=1)
    return np.clip(1 - cosines / (sizes * (sizes - 1)), 0, _MAX_COSINE_DISTANCE)


def list_report(
    recommended: np.ndarray,
    targets: np.ndarray,
    n_train: np.ndarray,
    n_items: int,
    users: np.ndarray,
    vectors: np.ndarray | None = None,
    n_users_train: int | None = None,
) -> dict[str, float]:
    """All that can be said of the lists, means over lists with 95 % intervals (`_low`, `_high`), users as clusters.

    Args:
        recommended: [E, k] item ids by rank, NO_ITEM for an invalid answer.
        targets: [E] the item that is right.
        n_train: [n_items + 1] training interactions of each item; 0 is padding.
        n_items: of the catalogue.
        users: [E] the user of each list.
        vectors: [n_items + 1, d] of each item; without them there is no `intra_list_diversity`.
        n_users_train: training users; without it there is no `novelty`.

    Returns:
        `coverage`, `serendipity`, `gini`, `novelty` (over lists that name an item) and `intra_list_diversity`; neither
        `gini` nor `novelty` where no list names an item.

    Raises:
        ValueError: there are no lists, or there are vectors and a list has fewer than two items.
    """
    report = {"coverage": coverage(recommended, n_items)}
    surprise = serendipity(recommended, targets, n_train, n_items)
    report |= _mean_of_bounded("serendipity", surprise, users, 1.0)
    named = (recommended != NO_ITEM).any(axis=1)
    if named.any():
        report["gini"] = gini(recommended, n_items)
    if n_users_train is not None and named.any():
        information = novelty(recommended[named], n_train, n_users_train)
        highest = max(float(np.log2(n_users_train)), 1.0)  # of one user alone log2 is 0, and so is each value
        report |= _mean_of_bounded("novelty", information, users[named], highest)
    if vectors is not None:
        distances = intra_list_diversity(recommended, vectors)
        report |= _mean_of_bounded("intra_list_diversity", distances, users, _MAX_COSINE_DISTANCE)
    return report


def _times_recommended(recommended: np.ndarray, n_items: int) -> np.ndarray:
    """[n_items] how often items 1, 2, … are recommended."""
    if recommended.size and not 0 <= recommended.min() <= recommended.max() <= n_items:
        raise ValueError(f"recommended must hold items 0..{n_items}, got {recommended.min()}..{recommended.max()}")
    return np.bincount(recommended.ravel(), minlength=n_items + 1)[1:]


def _popularity_scores(n_train: np.ndarray, n_items: int) -> np.ndarray:
    """[n_items + 1] (n_items + 1 − dense popularity rank) / n_items; 0 without interactions."""
    counts, places = np.unique(n_train[1:], return_inverse=True)
    scores = (n_items + 1 - (len(counts) - places)) / n_items
    return np.concatenate(([0.0], np.where(n_train[1:] > 0, scores, 0.0)))


def _mean_of_bounded(name: str, values: np.ndarray, users: np.ndarray, highest: float) -> dict[str, float]:
    """Mean of values in 0..highest, with its interval."""
    mean, low, high = (highest * end for end in mean_with_interval(values / highest, users))
    return {name: mean, f"{name}_low": low, f"{name}_high": high}
