"""What attention layers share: causality, a learned bias for each distance into the past, and heads of even width."""

import torch
from torch import Tensor, nn


class DistanceBias(nn.Module):
    """A learned number for each head and each distance between two positions (Shaw et al. 2018, Raffel et al. 2020)."""

    def __init__(self, heads: int, max_length: int) -> None:
        """Start at 0 for all of 0..max_length - 1 steps back."""
        super().__init__()
        self.by_distance = nn.Parameter(torch.zeros(heads, max_length))

    def forward(self, length: int) -> Tensor:
        """[heads, T, T] bias of query t on key s; meaningless where s lies in t's future."""
        place = torch.arange(length, device=self.by_distance.device)
        return self.by_distance[:, (place[:, None] - place).clamp(min=0)]


def future(length: int, device: torch.device) -> Tensor:
    """[T, T] whether position s (column) lies in the future of position t (row)."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)
