"""Dropout whose masks belong to the rows of the whole batch, however many processes share it."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

_LEVELS = 2**16  # of the random numbers that decide on a CPU: a probability is off by less than 1e-5


class BatchDropout(nn.Module):
    """Like `nn.Dropout` on [B, …], but one of several processes draws the mask of all rows and takes its own.

    With the same seed in all of them, a batch then meets the same masks as in a single process.
    """

    def __init__(self, p: float) -> None:
        """Drop with probability `p`, in a single process until `share_rows` says otherwise."""
        super().__init__()
        self.p = p
        self.rank, self.world, self.rows = 0, 1, 0

    def forward(self, values: Tensor) -> Tensor:
        """Drop elements of this process's rows [b, …] and scale the others up."""
        if not self.training or not self.p:
            return values
        if self.world == 1:
            return values * self._mask(values, len(values))
        mask = self._mask(values, self.rows)
        return values * (mask[self.rank :: self.world] if self.rank < self.rows else mask[:1])

    def _mask(self, like: Tensor, rows: int) -> Tensor:
        """[rows, …] of 0 and 1 / (1 - p)."""
        shape = (rows, *like.shape[1:])
        if like.device.type != "cpu":
            return dropout(like.new_ones(shape), self.p)
        # Four random numbers of 16 bits from every draw: torch takes a whole draw, and longer, for each element.
        words = torch.empty(-(-math.prod(shape) // 4), dtype=torch.int64).random_(-(2**63), None)
        numbers = words.view(torch.int16)[: math.prod(shape)].view(shape)
        kept = numbers >= round(self.p * _LEVELS) - _LEVELS // 2
        return kept.to(like.dtype).div_(1 - self.p)


def share_rows(model: nn.Module, rank: int, world: int, rows: int) -> None:
    """Tell every dropout of `model` that this process has rows `rank`, `rank + world`, … of the next batch's `rows`."""
    for module in model.modules():
        if isinstance(module, BatchDropout):
            module.rank, module.world, module.rows = rank, world, rows
