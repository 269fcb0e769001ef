"""SASRec: self-attentive sequential recommendation (Kang & McAuley, ICDM 2018, arXiv 1808.09781).

Deviations: pre-norm blocks with a final norm (they train without warm-up), GELU, and sequences aligned on the left, so
that causal masking alone keeps padding out of every real position.
"""

import torch
from torch import Tensor, nn


class SasRecEncoder(nn.Module):
    """A causal transformer over item vectors."""

    def __init__(self, dim: int, blocks: int, heads: int, dropout: float, max_length: int) -> None:
        """Build `blocks` blocks of width `dim` for sequences of up to `max_length` items."""
        super().__init__()
        self.positions = nn.Parameter(torch.randn(max_length, dim) * 0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(dim, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map item vectors [B, T, D], padded on the right, to states [B, T, D]; state t has seen items 0..t."""
        states = self.dropout(vectors * vectors.shape[-1] ** 0.5 + self.positions[: vectors.shape[1]])
        for block in self.blocks:
            states = block(states)
        return self.norm(states)


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_dropout = dropout
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        batch, length, dim = states.shape
        qkv = self.qkv(self.attention_norm(states)).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.attention_dropout if self.training else 0.0, is_causal=True
        )
        states = states + self.dropout(self.out(attended.transpose(1, 2).reshape(batch, length, dim)))
        return states + self.feed_forward(states)
