"""Losses that compare the target with a few drawn items instead of with all."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def sampled_softmax(
    states: Tensor, targets: Tensor, weights: Tensor, negatives: Tensor, log_proposal: Tensor
) -> Tensor:
    """Sum over positions of softmax cross-entropy against shared negatives, with log-Q correction.

    The exponentials of the K negatives, divided by K times the probability with which each was drawn, estimate the sum
    over all items but the target without bias (Bengio & Senécal 2008, https://doi.org/10.1109/TNN.2007.912312). The
    target, which isn't drawn but always there, gets no correction; a negative that is the target by chance is left out.

    Args:
        states: [P, D].
        targets: [P] item ids.
        weights: [n + 1, D].
        negatives: [K] item ids, the same for all positions, drawn with replacement.
        log_proposal: [n + 1] log-probability with which each item is drawn.
    """
    own = (states * weights[targets]).sum(dim=1, keepdim=True)
    others = states @ weights[negatives].T - log_proposal[negatives] - math.log(len(negatives))
    others = others.masked_fill(targets[:, None] == negatives, -torch.inf)
    return (torch.cat([own, others], dim=1).logsumexp(dim=1) - own[:, 0]).sum()


def target_weight(drawn: int, n_items: int, t: float) -> float:
    """How much a target counts in gBCE: β = α (t (1 - 1/α) + 1/α), where a share α of the other items is drawn.

    t = 0, or drawing all, gives β = 1: binary cross-entropy; t = 1 gives β = α, which makes up for the overconfidence
    that drawing few negatives causes (Petrov & Macdonald, RecSys 2023, equation 14, https://arxiv.org/abs/2308.07192).

    Args:
        drawn: K, negatives of a position.
        n_items: n, without padding; the target is one of them.
        t: calibration, 0..1.
    """
    rate = drawn / (n_items - 1)
    return rate * (t * (1 - 1 / rate) + 1 / rate)


def generalized_bce(
    states: Tensor, targets: Tensor, weights: Tensor, negatives: Tensor, beta: float, offset: float
) -> Tensor:
    """Sum over positions of gBCE: -(β log σ(s⁺ + b) + Σ log(1 - σ(s⁻ + b))) / (K + 1) (as above, equation 8).

    The paper's has b = 0. With β = 1 this is binary cross-entropy.

    Args:
        states: [P, D].
        targets: [P] item ids.
        weights: [n + 1, D].
        negatives: [P, K] item ids other than the target, the position's own.
        beta: weight of the target.
        offset: b, added to every score, and so without influence on their order.
    """
    own = (states * weights[targets]).sum(dim=1) + offset
    others = _scores_of(negatives, states, weights) + offset
    return -(beta * logsigmoid(own) + logsigmoid(-others).sum(dim=1)).sum() / (negatives.shape[1] + 1)


def _scores_of(items: Tensor, states: Tensor, weights: Tensor) -> Tensor:
    """[P, K] scores of each position's own items [P, K]."""
    n_items, dim = weights.shape
    # One product scores all items faster than single vectors are fetched, as long as there is no more of the former.
    if n_items <= items.shape[1] * dim // 2:
        return (states @ weights.T).gather(1, items)
    return torch.einsum("pd,pkd->pk", states, weights[items])
