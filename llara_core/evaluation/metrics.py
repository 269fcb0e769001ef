"""HitRatio@1 and ValidRatio of answers over candidate sets (paper, section 4.1.2); means with their intervals."""

import numpy as np

from llara_core.evaluation.statistics import mean_with_interval, share_with_interval


def answer_metrics(correct: np.ndarray, valid: np.ndarray, users: np.ndarray) -> dict[str, float | int]:
    """HitRatio@1 with its 95 % interval, ValidRatio, and the number of candidate sets.

    Args:
        correct: [R] bool; an invalid answer is a miss.
        valid: [R] bool, whether the answer names exactly one candidate.
        users: [R] ids; a user's draws count as one cluster.
    """
    return {
        **named_mean("hit_ratio_at_1", correct & valid, users),
        "valid_ratio": float(valid.mean()),
        "n_examples": len(correct),
        "n_users": len(np.unique(users)),
    }


def named_mean(name: str, values: np.ndarray, users: np.ndarray) -> dict[str, float]:
    """Mean of values [R] in 0..1, with its 95 % interval over users [R] as `<name>_low` and `<name>_high`.

    Hits and misses have Wilson's interval, other values Student's.
    """
    interval = share_with_interval if np.isin(values, (0, 1)).all() else mean_with_interval
    mean, low, high = interval(values, users)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}
