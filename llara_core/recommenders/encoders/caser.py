"""Caser: convolutional sequence embedding (Tang & Wang, WSDM 2018, https://arxiv.org/abs/1809.07426).

Each state sees the latest L = `context` items as an L × D image: horizontal filters of height h followed by the maximum
over time, and vertical filters that weigh the L items (equations 3 to 8). Positions before a sequence are zeros.

Deviations: no user embedding, since validation and test users are new (as in LLaRA's code); a norm on the state; and
the filters slide over a whole window at once. That gives the state of every window of L items, with the horizontal
products that neighbours share computed once instead of L times.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool1d, pad, relu

from llara_core.params.encoders.caser import Options
from llara_core.recommenders.dropout import BatchDropout


class Encoder(nn.Module):
    """Horizontal and vertical convolutions over the latest items."""

    def __init__(self, options: Options, dim: int, max_length: int) -> None:
        """Build the filters for width `dim`; any length will do."""
        super().__init__()
        self.context, self.heights = options.context, options.heights
        self.horizontal = nn.ModuleList(nn.Conv1d(dim, options.horizontal, height) for height in options.heights)
        self.vertical = nn.Conv1d(1, options.vertical, options.context)
        self.dropout = BatchDropout(options.dropout)
        self.out = nn.Linear(options.vertical * dim + options.horizontal * len(options.heights), dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map item vectors [B, T, D], padded on the right, to states [B, T, D]; state t sees items t - L + 1..t."""
        batch, length, dim = vectors.shape
        image = pad((vectors * dim**0.5).transpose(1, 2), (self.context - 1, 0))
        features = [
            max_pool1d(relu(filters(image)), self.context - height + 1, stride=1)
            for height, filters in zip(self.heights, self.horizontal, strict=True)
        ]
        vertical = self.vertical(image.reshape(batch * dim, 1, -1))
        features.append(vertical.reshape(batch, -1, length))
        return self.norm(self.out(self.dropout(torch.cat(features, dim=1).transpose(1, 2))))
