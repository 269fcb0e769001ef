"""Putting behavioural tokens where the prompt has slots (paper, equation 4), or adding them to what stands there."""

import torch
from torch import Tensor


def splice(token_embeddings: Tensor, slot_mask: Tensor, slot_vectors: Tensor) -> Tensor:
    """Replace the embedding of every slot by its vector.

    Args:
        token_embeddings: [B, S, H].
        slot_mask: [B, S] bool; K of its elements are True.
        slot_vectors: [K, H], in row-major order of the mask.

    Returns:
        [B, S, H]; gradients flow into slot_vectors and into the embeddings that stay.

    Raises:
        ValueError: the mask doesn't have K slots.
    """
    if (slots := int(slot_mask.sum())) != len(slot_vectors):
        raise ValueError(f"slot_vectors must have one vector for each of the {slots} slots, got {len(slot_vectors)}")
    return token_embeddings.masked_scatter(slot_mask.unsqueeze(-1), slot_vectors.to(token_embeddings.dtype))


def add_at_slots(token_embeddings: Tensor, slot_mask: Tensor, slot_vectors: Tensor) -> Tensor:
    """Add its vector to the embedding of every slot; arguments, result and errors as in `splice`."""
    return token_embeddings + splice(torch.zeros_like(token_embeddings), slot_mask, slot_vectors)
