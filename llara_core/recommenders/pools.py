"""What a scorer would recommend instead of the target: pools of hard negatives, the same however they are computed."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from llara_core.errors import ModelError
from llara_core.recommenders.ranking import RankingTask, Scorer, chunks
from llara_core.tables.items import PADDING_ID


@dataclass(frozen=True)
class Pools:
    """The pools of E examples.

    Attributes:
        items: [E, K] int32 item ids, the best first; of equal scores the smaller id. Padding stands behind them.
        n_before: [E] items outside `seen` that score as high as the target or higher.
    """

    items: np.ndarray
    n_before: np.ndarray


def best_others(score: Scorer, task: RankingTask, n_items: int, size: int) -> Pools:
    """Find the up to `size` items with the highest scores, other than the target and what `task.seen` names.

    Scores are compared in float32. Where `score` computes in float64, what a batch's size or a machine's kernels do to
    the last bits is rounded away, so that a history has the same pool in every batch.

    Raises:
        DataError: an example has no history, or an item that isn't in the table.
        ModelError: a score isn't a finite number.
    """
    items = np.full((len(task.histories), min(size, n_items)), PADDING_ID, dtype=np.int32)
    n_before = np.empty(len(task.histories), dtype=np.int64)
    for chunk in chunks(task.histories, n_items):
        scores = score(task.histories[chunk]).float()
        _require_finite(scores[:, PADDING_ID + 1 :])
        targets = torch.from_numpy(task.targets[chunk].astype(np.int64))[:, None].to(scores.device)
        own = scores.gather(1, targets)
        scores.scatter_(1, targets, -torch.inf)
        for row, example in enumerate(range(*chunk.indices(len(task.histories)))):
            if task.seen is not None:
                scores[row, torch.from_numpy(task.seen(example).astype(np.int64))] = -torch.inf
        n_before[chunk] = (scores >= own).sum(dim=1).cpu().numpy()
        least = scores.topk(items.shape[1], dim=1).values[:, -1].cpu().numpy()
        for row, values in enumerate(scores.cpu().numpy()):
            best = _best(values, least[row])[: items.shape[1]]
            items[chunk.start + row, : len(best)] = best
    return Pools(items, n_before)


def _best(scores: np.ndarray, least: np.floating) -> np.ndarray:
    """Items that score `least` or more, the best first: of ties at the end all, not those that topk happens to take."""
    found = np.flatnonzero((scores >= least) & (scores > -np.inf))
    return found[np.argsort(-scores[found], kind="stable")]


def _require_finite(scores: Tensor) -> None:
    if not (finite := scores.isfinite()).all():
        raise ModelError(
            f"the recommender's scores must be finite numbers, got {scores[~finite][0].item()}: its training has failed"
        )
