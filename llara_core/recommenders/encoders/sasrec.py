"""SASRec: self-attentive sequential recommendation (Kang & McAuley, ICDM 2018, https://arxiv.org/abs/1808.09781).

Deviations: pre-norm blocks with a final norm (they train without much warm-up), GELU and four times as wide a hidden
layer, as in later transformers, and sequences aligned on the left, so that causal masking alone keeps padding out of
every real position. `positions: relative` replaces the learned position vectors by a learned bias for each distance: a
state then doesn't depend on where in a window it stands, so long training windows serve short histories.
"""

import torch
from torch import Tensor, nn

from llara_core.params.encoders.sasrec import Options
from llara_core.recommenders.attention import DistanceBias, future
from llara_core.recommenders.dropout import BatchDropout


class Encoder(nn.Module):
    """A causal transformer over item vectors."""

    def __init__(self, options: Options, dim: int, max_length: int) -> None:
        """Build the blocks for width `dim` and sequences of up to `max_length` items."""
        super().__init__()
        absolute = options.positions == "absolute"
        self.positions = nn.Parameter(torch.randn(max_length, dim) * 0.02) if absolute else None
        self.dropout = BatchDropout(options.dropout)
        reach = None if absolute else max_length
        self.blocks = nn.ModuleList(_Block(dim, options, reach) for _ in range(options.blocks))
        self.norm = nn.LayerNorm(dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map item vectors [B, T, D], padded on the right, to states [B, T, D]; state t has seen items 0..t."""
        states = vectors * vectors.shape[-1] ** 0.5
        if self.positions is not None:
            states = states + self.positions[: vectors.shape[1]]
        states = self.dropout(states)
        for block in self.blocks:
            states = block(states)
        return self.norm(states)


class _Block(nn.Module):
    def __init__(self, dim: int, options: Options, reach: int | None) -> None:
        super().__init__()
        self.heads = options.heads
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.bias = None if reach is None else DistanceBias(options.heads, reach)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            BatchDropout(options.dropout),
        )
        self.dropout = BatchDropout(options.dropout)

    def forward(self, states: Tensor) -> Tensor:
        batch, length, dim = states.shape
        qkv = self.qkv(self.attention_norm(states)).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        weights = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if self.bias is not None:
            weights = weights + self.bias(length)
        weights = weights.masked_fill(future(length, states.device), -torch.inf).softmax(dim=-1)
        attended = self.dropout(weights) @ value
        states = states + self.dropout(self.out(attended.transpose(1, 2).reshape(batch, length, dim)))
        return states + self.feed_forward(states)
