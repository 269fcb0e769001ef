"""What a list's arrangement and its luck do: the target's place, the draw of candidates, and their order."""

import numpy as np

from llara_core.evaluation.statistics import share_with_interval
from llara_core.tables.predictions import NO_ITEM

Row = dict[str, float | int]


def accuracy_by_place(correct: np.ndarray, target_indices: np.ndarray, users: np.ndarray, size: int) -> list[Row]:
    """HitRatio@1 by where in its list the target stands; places without lists are absent.

    Args:
        correct: [R] bool.
        target_indices: [R] column of each target, from 0.
        users: [R] ids; a user's lists count as one cluster.
        size: candidates in a list.

    Returns:
        For each place, `place` counted from 1, `hit_ratio_at_1` with `_low` and `_high`, `n_examples` and `n_users`.
    """
    if len(target_indices) and not 0 <= target_indices.min() <= target_indices.max() < size:
        raise ValueError(
            f"target_indices must lie in 0..{size - 1}, got {target_indices.min()}..{target_indices.max()}"
        )
    rows: list[Row] = []
    for index in np.unique(target_indices):
        inside = target_indices == index
        share = _named("hit_ratio_at_1", share_with_interval(correct[inside], users[inside]))
        rows.append({"place": int(index) + 1, **share, **_counts(users[inside])})
    return rows


def draw_agreement(correct: np.ndarray, example_ids: np.ndarray, users: np.ndarray) -> Row:
    """How far being right depends on the draw: share of pairs of one example's draws that are both right or both wrong.

    Of m draws with h hits, h(h − 1)/2 + (m − h)(m − h − 1)/2 of the m(m − 1)/2 pairs agree. Pairs of all examples are
    counted together, so an example with more draws weighs more. Draws that have nothing to do with one another agree in
    p² + (1 − p)² of them at HitRatio@1 p: read the share beside that.

    Args:
        correct: [R] bool.
        example_ids: [R] what the target and history are; the draws of one example share an id.
        users: [R] ids; the pairs of a user count as one cluster in the 95 % interval.

    Returns:
        `agreement` with `_low` and `_high`, `n_pairs`, and `n_examples` and `n_users` with several draws.

    Raises:
        ValueError: no example has several draws, or one is of several users.
    """
    _, first, examples, draws = np.unique(example_ids, return_index=True, return_inverse=True, return_counts=True)
    if (strange := users != users[first][examples]).any():
        raise ValueError(f"example {example_ids[int(np.argmax(strange))]} must be of one user, got several")
    hits = np.bincount(examples, weights=correct).astype(int)
    pairs = _pairs(draws)
    if not pairs.any():
        raise ValueError("an example must have several draws, got one of each")
    agreeing = _pairs(hits) + _pairs(draws - hits)
    outcomes = np.tile([True, False], len(pairs))
    agrees = np.repeat(outcomes, np.column_stack([agreeing, pairs - agreeing]).ravel())
    share = _named("agreement", share_with_interval(agrees, np.repeat(users[first], pairs)))
    return {**share, "n_pairs": int(pairs.sum()), **_counts(users[first][pairs > 0])}


def order_agreement(chosen_original: np.ndarray, chosen_shuffled: np.ndarray, users: np.ndarray) -> Row:
    """How far the choice depends on the order: share of lists of which a shuffled copy gets the same item chosen.

    Args:
        chosen_original: [R] item chosen from each list, NO_ITEM for an invalid answer, which agrees with nothing.
        chosen_shuffled: [R] item chosen from a copy of the same candidates in another order.
        users: [R] ids; a user's lists count as one cluster in the 95 % interval.

    Returns:
        `agreement` with `_low` and `_high`, `n_examples` and `n_users`.
    """
    same = (chosen_original == chosen_shuffled) & (chosen_original != NO_ITEM)
    return {**_named("agreement", share_with_interval(same, users)), **_counts(users)}


def _pairs(numbers: np.ndarray) -> np.ndarray:
    """[N] how many pairs each number of things makes."""
    return numbers * (numbers - 1) // 2


def _named(name: str, interval: tuple[float, float, float]) -> Row:
    return dict(zip((name, f"{name}_low", f"{name}_high"), interval, strict=True))


def _counts(users: np.ndarray) -> Row:
    return {"n_examples": len(users), "n_users": len(np.unique(users))}
