"""HSTU: hierarchical sequential transduction units (Zhai et al., ICML 2024, https://arxiv.org/abs/2402.17152).

Attention whose weights are SiLU(q·k + bias) instead of a softmax, so that they keep how strongly an item is evoked and
not only which is evoked most; the attended sum is normed and gated elementwise; there is no feed-forward layer
(equations 1 to 3). The bias depends on the distance between two positions, so a state is the same wherever in a window
its history stands.

Deviations: the bias knows positions but not timestamps; weights are divided by the number of visible items; the norm
over attended values acts on the concatenated heads.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from llara_core.params.encoders.hstu import Options
from llara_core.recommenders.attention import DistanceBias, future
from llara_core.recommenders.dropout import BatchDropout


class Encoder(nn.Module):
    """A stack of gated units of pointwise attention."""

    def __init__(self, options: Options, dim: int, max_length: int) -> None:
        """Build the blocks for width `dim` and sequences of up to `max_length` items."""
        super().__init__()
        self.dropout = BatchDropout(options.dropout)
        self.blocks = nn.ModuleList(_Block(dim, options, max_length) for _ in range(options.blocks))
        self.norm = nn.LayerNorm(dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map item vectors [B, T, D], padded on the right, to states [B, T, D]; state t has seen items 0..t."""
        states = self.dropout(vectors * vectors.shape[-1] ** 0.5)
        for block in self.blocks:
            states = block(states)
        return self.norm(states)


class _Block(nn.Module):
    def __init__(self, dim: int, options: Options, max_length: int) -> None:
        super().__init__()
        self.heads = options.heads
        self.norm = nn.LayerNorm(dim)
        self.gate_value_query_key = nn.Linear(dim, 4 * dim)
        self.bias = DistanceBias(options.heads, max_length)
        self.attended_norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.dropout = BatchDropout(options.dropout)
        self.out = nn.Linear(dim, dim)

    def forward(self, states: Tensor) -> Tensor:
        batch, length, dim = states.shape
        projected = silu(self.gate_value_query_key(self.norm(states))).view(batch, length, 4, dim)
        gate = projected[:, :, 0]
        value, query, key = projected[:, :, 1:].view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        evoked = silu(query @ key.transpose(-1, -2) + self.bias(length))
        visible = torch.arange(1, length + 1, device=states.device, dtype=states.dtype)
        attended = (evoked.masked_fill(future(length, states.device), 0.0) / visible[:, None]) @ value
        attended = attended.transpose(1, 2).reshape(batch, length, dim)
        return states + self.out(self.dropout(gate * self.attended_norm(attended)))
