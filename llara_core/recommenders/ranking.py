"""Scoring, and where the target ranks."""

import numpy as np
import torch

from llara_core.recommenders.model import PADDING_ID, SequentialRecommender

_BATCH = 1024


@torch.no_grad()
def score_next_items(model: SequentialRecommender, histories: np.ndarray) -> np.ndarray:
    """[E, n + 1] float32 scores of every item after histories [E, L]; padding gets -inf."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.from_numpy(histories.astype(np.int64)).split(_BATCH)
    return torch.cat([model.next_item_scores(part.to(device)).cpu() for part in parts]).numpy()


def popularity_scores(popularity: np.ndarray, n_examples: int) -> np.ndarray:
    """[E, n + 1] the same scores for everyone: interactions in training; padding gets -inf."""
    scores = popularity.astype(np.float32)
    scores[PADDING_ID] = -np.inf
    return np.broadcast_to(scores, (n_examples, len(scores)))


def ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[E] 1-based rank of column targets[i] in row i of scores [E, C]; ties count against the target."""
    own = np.take_along_axis(scores, targets[:, None], axis=1)
    return (scores >= own).sum(axis=1)


def candidate_ranks(scores: np.ndarray, candidates: np.ndarray, target_indices: np.ndarray) -> np.ndarray:
    """[R] rank of the target among its candidates [R, C], given scores [R, n + 1] of all items."""
    return ranks(np.take_along_axis(scores, candidates, axis=1), target_indices)


def without_history(scores: np.ndarray, histories: list[np.ndarray], targets: np.ndarray) -> np.ndarray:
    """Scores [E, n + 1] with the items a user has had at -inf, except a target consumed again."""
    masked = scores.copy()
    for row, (items, target) in enumerate(zip(histories, targets, strict=True)):
        own = masked[row, target]
        masked[row, items] = -np.inf
        masked[row, target] = own
    return masked


def hit_ratio(rank: np.ndarray, k: int) -> float:
    """Share of ranks [E] that are ≤ k."""
    return float((rank <= k).mean())


def ndcg(rank: np.ndarray, k: int) -> float:
    """Mean of 1 / log2(1 + rank) for ranks [E] ≤ k and 0 beyond (Järvelin & Kekäläinen 2002, one relevant item)."""
    return float(np.where(rank <= k, 1 / np.log2(1 + rank), 0).mean())
