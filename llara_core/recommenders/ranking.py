"""Ranking the whole catalogue, or candidates, by any scorer, without ever holding all scores at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from llara_core.errors import DataError
from llara_core.recommenders.model import SequentialRecommender
from llara_core.recommenders.rank_metrics import hit_ratio, ndcg
from llara_core.tables.items import PADDING_ID

# Scores [E, n + 1] of every item as the next one after histories [E, L] (padded on the left with 0); padding has -inf.
Scorer = Callable[[np.ndarray], Tensor]

TOP = 10
_SCORES_AT_ONCE = 1 << 24  # 64 MiB of float32


@dataclass(frozen=True)
class RankingTask:
    """E examples.

    Attributes:
        histories: [E, L] latest items, padded on the left with 0.
        targets: [E] the next item.
        seen: items that the user of an example has had, in any order; None ranks them like all others.
    """

    histories: np.ndarray
    targets: np.ndarray
    seen: Callable[[int], np.ndarray] | None


@dataclass(frozen=True)
class Ranking:
    """Where targets rank in the whole catalogue, and what ranks first.

    Attributes:
        ranks: [E] 1-based; ties, and NaN, count against the target.
        top: [E, K] the first TOP items, the best first; padding where all others are excluded.
    """

    ranks: np.ndarray
    top: np.ndarray


def neural_scorer(model: SequentialRecommender) -> Scorer:
    """Scores by a trained recommender, on its device."""
    device = model.output_weights.device

    @torch.no_grad()
    def score(histories: np.ndarray) -> Tensor:
        model.eval()
        return model.next_item_scores(torch.from_numpy(histories.astype(np.int64)).to(device))

    return score


def chunks(histories: np.ndarray, n_items: int) -> Iterator[slice]:
    """Divide examples such that their scores fit into memory, once it is sure that they can be scored.

    Raises:
        DataError: an example has no history, or an item that isn't in the table.
    """
    if len(histories):
        if not (histories > 0).any(axis=1).all():
            raise DataError("a history must have at least one item, got an empty one")
        if histories.min() < 0 or histories.max() > n_items:
            raise DataError(
                f"item ids must lie in the item table 1..{n_items}, got {histories.min()}..{histories.max()}"
            )
    size = max(1, _SCORES_AT_ONCE // (n_items + 1))
    return (slice(start, start + size) for start in range(0, len(histories), size))


def rank_catalogue(score: Scorer, task: RankingTask, n_items: int) -> Ranking:
    """Rank each target among all items, less those that the user has had; a target consumed again stays in.

    Raises:
        DataError: an example has no history, or an item that isn't in the table.
    """
    parts = chunks(task.histories, n_items)
    return _joined([_rank(score(task.histories[chunk]), task, chunk) for chunk in parts], n_items)


def score_and_rank(
    score: Scorer, task: RankingTask, example: np.ndarray, candidates: np.ndarray, n_items: int
) -> tuple[np.ndarray, Ranking]:
    """`score_candidates` and `rank_catalogue` from the same scores: [R, C], and the ranking of the E examples."""
    found = np.zeros(candidates.shape)
    order = np.argsort(example, kind="stable")
    parts: list[Ranking] = []
    for chunk in chunks(task.histories, n_items):
        scores = score(task.histories[chunk])
        sets = _sets_of(chunk, example, order)
        found[sets] = scores.cpu().numpy()[(example[sets] - chunk.start)[:, None], candidates[sets]]
        parts.append(_rank(scores, task, chunk))
    return found, _joined(parts, n_items)


def _rank(scores: Tensor, task: RankingTask, chunk: slice) -> Ranking:
    """Rank the examples of a chunk by their scores [E, n + 1], which it overwrites."""
    targets = torch.from_numpy(task.targets[chunk].astype(np.int64)).to(scores.device)
    own = scores.gather(1, targets[:, None])
    if task.seen is not None:
        seen = [task.seen(example) for example in range(*chunk.indices(len(task.targets)))]
        rows = torch.from_numpy(np.repeat(np.arange(len(seen)), [len(items) for items in seen]))
        columns = torch.from_numpy(np.concatenate(seen).astype(np.int64))
        scores[rows.to(scores.device), columns.to(scores.device)] = -torch.inf
        scores.scatter_(1, targets[:, None], own)
    best = scores.topk(min(TOP, scores.shape[1] - 1), dim=1)
    top = torch.where(best.values > -torch.inf, best.indices, PADDING_ID)
    return Ranking((~(scores < own)).sum(dim=1).cpu().numpy(), top.cpu().numpy().astype(np.int32))


def _joined(parts: list[Ranking], n_items: int) -> Ranking:
    none = Ranking(np.empty(0, dtype=np.int64), np.empty((0, min(TOP, n_items)), dtype=np.int32))
    parts = parts or [none]
    return Ranking(np.concatenate([part.ranks for part in parts]), np.concatenate([part.top for part in parts]))


def _sets_of(chunk: slice, example: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Which candidate sets belong to a chunk's examples, given each set's `example` [R] and its sorting `order` [R]."""
    first, last = np.searchsorted(example[order], [chunk.start, chunk.stop])
    return order[first:last]


def score_candidates(score: Scorer, histories: np.ndarray, example: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """[R, C] scores of candidates.

    Args:
        score: of all items.
        histories: [E, L] of the distinct examples.
        example: [R] which of them each candidate set belongs to.
        candidates: [R, C] item ids.

    Raises:
        DataError: an example has no history, or an item that isn't in the table.
    """
    found = np.zeros(candidates.shape)
    order = np.argsort(example, kind="stable")
    for chunk in chunks(histories, int(max(candidates.max(initial=1), histories.max(initial=1)))):
        sets = _sets_of(chunk, example, order)
        scores = score(histories[chunk]).cpu().numpy()
        found[sets] = scores[(example[sets] - chunk.start)[:, None], candidates[sets]]
    return found


def ranking_report(ranking: Ranking, n_items: int) -> dict[str, float | int]:
    """HR@{1,5,10,20}, NDCG@{5,10,20}, mean reciprocal rank, and the share of n_items in anybody's first ten."""
    rank = ranking.ranks
    return {
        **{f"hit_ratio_at_{k}": hit_ratio(rank, k) for k in (1, 5, 10, 20)},
        **{f"ndcg_at_{k}": ndcg(rank, k) for k in (5, 10, 20)},
        "mrr": float((1 / rank).mean()),
        f"coverage_at_{TOP}": len(np.setdiff1d(ranking.top, [PADDING_ID])) / n_items,
        "n_examples": len(rank),
    }
