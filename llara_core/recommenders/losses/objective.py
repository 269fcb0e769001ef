"""The loss that params.yaml names, with the negatives that it needs."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from llara_core.errors import ParamsError
from llara_core.params.recommenders import Loss
from llara_core.recommenders.losses.cross_entropy import full_cross_entropy
from llara_core.recommenders.losses.sampled import generalized_bce, sampled_softmax, target_weight
from llara_core.recommenders.model import SequentialRecommender
from llara_core.tables.items import PADDING_ID


class Objective(nn.Module):
    """Inputs, targets and drawn negatives to a summed loss: what one process computes of an optimiser step."""

    log_proposal: Tensor

    def __init__(self, model: SequentialRecommender, params: Loss, popularity: np.ndarray) -> None:
        """Prepare `params.name` for `model`.

        Args:
            model: the recommender.
            params: the loss and its numbers.
            popularity: [n + 1] training interactions by item id, from which sampled softmax draws.

        Raises:
            ParamsError: more negatives than there are other items.
        """
        super().__init__()
        others = model.n_items - 1
        if params.name in ("gbce", "bce") and params.negatives > others:
            raise ParamsError(
                f"pretrain.loss.negatives must be ≤ the {others} items besides the target, got {params.negatives}"
            )
        self.model = model
        self.params = params
        proposal = (popularity.astype(np.float64) + 1) ** params.proposal_power  # every item can be drawn
        proposal[PADDING_ID] = 0
        self._cumulative = np.cumsum(proposal / proposal.sum())
        with np.errstate(divide="ignore"):
            logs = torch.from_numpy(np.log(proposal / proposal.sum())).float()
        self.register_buffer("log_proposal", logs, persistent=False)

    def draw(self, targets: np.ndarray, generator: np.random.Generator) -> np.ndarray | None:
        """Negatives for a whole batch: [K] shared or [B, T, K] by position; None where the loss takes all items.

        Args:
            targets: [B, T] item ids, 0 where there is no target.
            generator: of this optimiser step.
        """
        if self.params.name == "cross_entropy":
            return None
        if self.params.name == "sampled_softmax":
            drawn = np.searchsorted(self._cumulative, generator.random(self.params.negatives), side="right")
            return np.minimum(drawn, self.model.n_items)
        # One of the n - 1 others: ids from the target's on move up by one.
        drawn = generator.integers(1, self.model.n_items, size=(*targets.shape, self.params.negatives))
        return drawn + (drawn >= targets[..., None])

    def forward(self, inputs: Tensor, targets: Tensor, negatives: Tensor | None) -> Tensor:
        """Sum of the loss over the positions of inputs [B, T] that have a target in targets [B, T]."""
        real = targets != PADDING_ID
        states, goals = self.model(inputs)[real], targets[real]
        with torch.autocast(states.device.type, enabled=False):  # sums over a catalogue want all of float32
            return self._loss(states if states.dtype == torch.float64 else states.float(), goals, real, negatives)

    def _loss(self, states: Tensor, goals: Tensor, real: Tensor, negatives: Tensor | None) -> Tensor:
        params, weights = self.params, self.model.output_weights
        if negatives is None:
            return full_cross_entropy(states, goals, weights, params.vocabulary_chunk)
        if params.name == "sampled_softmax":
            return sampled_softmax(states, goals, weights, negatives, self.log_proposal)
        beta = target_weight(params.negatives, self.model.n_items, params.t if params.name == "gbce" else 0.0)
        # Scores start at the odds of a target where nothing is known. Otherwise hundreds of negatives first drive all
        # items the same way, and training stays in the hole that this digs: everyone gets what is popular.
        return generalized_bce(states, goals, weights, negatives[real], beta, math.log(beta / params.negatives))
