"""Keeping what every process trains the same, where the rest of the model is divided among them."""

from collections.abc import Sequence

import torch
from torch import distributed, nn

from llara_core.hybrid.division import is_part


@torch.no_grad()
def equalise(model: nn.Module) -> None:
    """Give every process the main one's weights and buffers, but for what is divided."""
    for tensor in [*model.parameters(), *model.buffers()]:
        if not is_part(tensor):
            distributed.broadcast(tensor.data, src=0)


@torch.no_grad()
def average_gradients(weights: Sequence[nn.Parameter]) -> None:
    """Average gradients over processes; where a process has none it counts as 0, and where none has, there is none.

    All at once and in the same order everywhere, whatever each process has used of the model.
    """
    parts = [weight.new_zeros(weight.shape) if weight.grad is None else weight.grad for weight in weights]
    is_used = torch.tensor([float(weight.grad is not None) for weight in weights], device=parts[0].device)
    joined = torch.cat([is_used, *(part.flatten() for part in parts)])
    distributed.all_reduce(joined)
    counts, *sums = joined.split([len(weights), *(part.numel() for part in parts)])
    for weight, count, total in zip(weights, counts.tolist(), sums, strict=True):
        if count:
            weight.grad = (total / distributed.get_world_size()).view_as(weight).to(weight.dtype)
