"""Full-softmax cross-entropy, in memory that doesn't grow with the catalogue."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.functional import cross_entropy

from llara_core.tables.items import PADDING_ID


def full_cross_entropy(states: Tensor, targets: Tensor, weights: Tensor, chunk: int) -> Tensor:
    """Sum over positions of -log softmax(states · weights)[target] over all items but padding.

    Catalogues of more than `chunk` items are taken in pieces of that size, forwards and once more backwards, so that no
    more than [P, chunk] logits exist at a time.

    Args:
        states: [P, D].
        targets: [P] item ids, 1..n.
        weights: [n + 1, D], row 0 for padding.
        chunk: items per piece.

    Returns:
        a scalar, in the states' precision but at least float32.
    """
    if len(weights) - 1 <= chunk:
        return cross_entropy(states @ weights[PADDING_ID + 1 :].T, targets - 1, reduction="sum")
    return _ChunkedCrossEntropy.apply(states, targets, weights, chunk)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, states: Tensor, targets: Tensor, weights: Tensor, chunk: int) -> Tensor:
        normalizer = states.new_full((len(states),), -torch.inf)
        for piece in weights[PADDING_ID + 1 :].split(chunk):
            normalizer = torch.logaddexp(normalizer, (states @ piece.T).logsumexp(dim=1))
        ctx.save_for_backward(states, targets, weights, normalizer)
        ctx.chunk = chunk  # type: ignore[attr-defined]
        return (normalizer - (states * weights[targets]).sum(dim=1)).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, Tensor, None]:
        states, targets, weights, normalizer = ctx.saved_tensors  # type: ignore[attr-defined]
        for_states = -weights[targets]
        for_weights = torch.zeros_like(weights).index_add_(0, targets, -states)
        first = PADDING_ID + 1
        for piece in weights[first:].split(ctx.chunk):  # type: ignore[attr-defined]
            probabilities = (states @ piece.T).sub_(normalizer[:, None]).exp_()
            for_states.addmm_(probabilities, piece)
            for_weights[first : first + len(piece)].addmm_(probabilities.T, states)
            first += len(piece)
        return for_states.mul_(gradient), None, for_weights.mul_(gradient), None
