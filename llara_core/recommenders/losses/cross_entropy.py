"""Full-softmax cross-entropy, in memory that grows neither with the catalogue nor with the batch."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from llara_core.tables.items import PADDING_ID

_ROWS = 256  # positions at a time on a CPU: their logits stay in its cache


def full_cross_entropy(states: Tensor, targets: Tensor, weights: Tensor, chunk: int) -> Tensor:
    """Sum over positions of -log softmax(states · weights)[target] over all items but padding.

    The gradient is taken together with the loss, while a block's logits are still at hand, so that they are never
    stored; only catalogues of more than `chunk` items need them computed twice.

    Args:
        states: [P, D].
        targets: [P] item ids, 1..n.
        weights: [n + 1, D], row 0 for padding.
        chunk: items at a time; no more than [P, chunk] logits exist at once.

    Returns:
        a scalar, in the states' precision.
    """
    return _FullCrossEntropy.apply(states, targets, weights, chunk)


class _FullCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, states: Tensor, targets: Tensor, weights: Tensor, chunk: int) -> Tensor:
        for_states, for_weights = -weights[targets], torch.zeros_like(weights)
        total = (states * for_states).sum()
        for_weights.index_add_(0, targets, states, alpha=-1)
        pieces = weights[PADDING_ID + 1 :].split(chunk)
        for_pieces = for_weights[PADDING_ID + 1 :].split(chunk)
        rows = _ROWS if states.device.type == "cpu" else max(len(states), 1)
        for block, for_block in zip(states.split(rows), for_states.split(rows), strict=True):
            normalizer, probabilities = _softmax(block, pieces)
            total += normalizer.sum()
            for piece, for_piece, share in zip(pieces, for_pieces, probabilities, strict=True):
                for_block.addmm_(share, piece)
                for_piece.addmm_(share.T, block)
        ctx.save_for_backward(for_states, for_weights)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, Tensor, None]:
        for_states, for_weights = ctx.saved_tensors  # type: ignore[attr-defined]
        return for_states * gradient, None, for_weights * gradient, None


def _softmax(block: Tensor, pieces: Sequence[Tensor]) -> tuple[Tensor, Iterable[Tensor]]:
    """Log-normaliser [R] of the logits block · pieces, and the probabilities [R, items of a piece] of one at a time."""
    if len(pieces) == 1:
        logits = block @ pieces[0].T
        probabilities = logits.softmax(dim=1)
        # Logit - log probability is the normaliser whichever item one asks; the likeliest never underflows.
        return logits.amax(dim=1) - probabilities.amax(dim=1).log(), (probabilities,)
    normalizer = block.new_full((len(block),), -torch.inf)
    for piece in pieces:
        normalizer = torch.logaddexp(normalizer, (block @ piece.T).logsumexp(dim=1))
    return normalizer, ((block @ piece.T).sub_(normalizer[:, None]).exp_() for piece in pieces)
