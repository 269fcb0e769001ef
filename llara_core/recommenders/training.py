"""Pretraining a recommender: full-softmax cross-entropy over all positions, the best epoch chosen on validation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from llara_core.errors import ModelError
from llara_core.params.sections import SasRec
from llara_core.recommenders.losses import full_softmax_cross_entropy
from llara_core.recommenders.model import SequentialRecommender
from llara_core.recommenders.windows import batches, cut_windows

_MAX_GRAD_NORM = 5.0


@dataclass(frozen=True)
class Epoch:
    """One epoch of the curve: mean training loss (nats per position) and NDCG@10 on validation."""

    epoch: int
    loss: float
    validation_ndcg_at_10: float


def train_recommender(
    model: SequentialRecommender,
    sequences: list[np.ndarray],
    validate: Callable[[SequentialRecommender], float],
    params: SasRec,
    seed: int,
) -> list[Epoch]:
    """Train in place and leave the weights of the epoch with the highest `validate(model)`.

    Args:
        model: freshly initialised, on its device.
        sequences: item ids of each training user, chronological.
        validate: NDCG@10 on validation, to be maximised; called once an epoch.
        params: the recipe; training ends after `patience` epochs without improvement or `max_epochs` in all.
        seed: of shuffling and window offsets.

    Returns:
        the curve.

    Raises:
        ModelError: the loss is not finite.
    """
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=params.lr, weight_decay=params.weight_decay)
    curve: list[Epoch] = []
    best, best_weights = Epoch(0, float("nan"), -np.inf), model.state_dict()
    with tqdm(range(1, params.max_epochs + 1), desc="pretrain", unit="epoch") as bar:
        for epoch in bar:
            loss = _train_epoch(model, optimizer, cut_windows(sequences, params.window, generator), params, generator)
            if not np.isfinite(loss):
                raise ModelError(f"the pretraining loss became {loss} in epoch {epoch}; lower recommenders.*.lr")
            curve.append(Epoch(epoch, loss, validate(model)))
            if curve[-1].validation_ndcg_at_10 > best.validation_ndcg_at_10:
                best = curve[-1]
                best_weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            bar.set_postfix(
                loss=f"{loss:.3f}",
                ndcg=f"{curve[-1].validation_ndcg_at_10:.4f}",
                best=f"{best.validation_ndcg_at_10:.4f}",
            )
            if epoch - best.epoch >= params.patience:
                break
    model.load_state_dict(best_weights)
    return curve


def _train_epoch(
    model: SequentialRecommender,
    optimizer: torch.optim.Optimizer,
    windows: np.ndarray,
    params: SasRec,
    generator: np.random.Generator,
) -> float:
    model.train()
    device = model.items.weight.device
    losses: list[Tensor] = []
    for batch in batches(windows, params.batch_size, generator):
        ids = torch.from_numpy(batch).to(device)
        loss = full_softmax_cross_entropy(model, ids[:, :-1], ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _MAX_GRAD_NORM)
        optimizer.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())
