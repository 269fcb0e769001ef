"""What attention layers share: a learned bias for each distance into the past, and how heads divide a width."""

import torch
from torch import Tensor, nn


class DistanceBias(nn.Module):
    """A learned number for each head and each distance between two positions (Shaw et al. 2018, Raffel et al. 2020)."""

    def __init__(self, heads: int, max_length: int) -> None:
        """Start at 0 for all of 0..max_length - 1 steps back."""
        super().__init__()
        self.by_distance = nn.Parameter(torch.zeros(heads, max_length))

    def forward(self, length: int, outside: float) -> Tensor:
        """[1, heads, T, T] bias of query t on key s; `outside` where s lies in t's future."""
        place = torch.arange(length, device=self.by_distance.device)
        distance = place[:, None] - place
        bias = self.by_distance[:, distance.clamp(min=0)]
        return bias.masked_fill(distance < 0, outside).unsqueeze(0)


def require_heads_divide(dim: int, heads: int) -> None:
    """Check that `heads` heads share the width evenly.

    Raises:
        ValueError: they don't.
    """
    if dim % heads:
        raise ValueError(f"dim must be a multiple of heads {heads}, got {dim}")
