"""Metrics of ranks, 1 for the best, with one relevant item; without torch, for what only compares."""

import numpy as np


def hit_ratio(rank: np.ndarray, k: int) -> float:
    """Share of ranks [E] that are ≤ k."""
    return float((rank <= k).mean())


def gains(rank: np.ndarray, k: int) -> np.ndarray:
    """[E] 1 / log2(1 + rank) for ranks ≤ k and 0 beyond: NDCG with one relevant item (Järvelin & Kekäläinen 2002)."""
    return np.where(rank <= k, 1 / np.log2(1 + rank), 0)


def ndcg(rank: np.ndarray, k: int) -> float:
    """Mean gain of ranks [E] at cutoff k."""
    return float(gains(rank, k).mean())
