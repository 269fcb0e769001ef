"""Dropout whose masks belong to the rows of the whole batch, however many processes share it."""

from torch import Tensor, nn
from torch.nn.functional import dropout


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
        values = values.contiguous()  # masks are drawn in the order of memory
        if self.world == 1 or not self.training or not self.p:
            return dropout(values, self.p, self.training)
        mask = dropout(values.new_ones(self.rows, *values.shape[1:]), self.p)
        return values * (mask[self.rank :: self.world] if self.rank < self.rows else mask[:1])


def share_rows(model: nn.Module, rank: int, world: int, rows: int) -> None:
    """Tell every dropout of `model` that this process has rows `rank`, `rank + world`, … of the next batch's `rows`."""
    for module in model.modules():
        if isinstance(module, BatchDropout):
            module.rank, module.world, module.rows = rank, world, rows
