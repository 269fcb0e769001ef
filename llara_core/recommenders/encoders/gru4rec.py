"""GRU4Rec: session-based recommendation with recurrent networks (Hidasi et al., ICLR 2016).

https://arxiv.org/abs/1511.06939, with the tied output of Hidasi & Karatzoglou (CIKM 2018,
https://arxiv.org/abs/1706.03847).

Deviations: item vectors instead of one-hot inputs (the later paper's constrained embeddings); sequences are independent
rows of a batch instead of session-parallel streams; a linear map and a norm bring the hidden state back to the width of
the item embedding, so that the hidden layer may be wider than it; full-softmax cross-entropy by default.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from llara_core.params.encoders.gru4rec import Options
from llara_core.recommenders.dropout import BatchDropout


class Encoder(nn.Module):
    """Gated recurrent units over item vectors."""

    def __init__(self, options: Options, dim: int, max_length: int) -> None:
        """Build the layers for width `dim`; any length will do."""
        super().__init__()
        self.dropout = BatchDropout(options.dropout)
        widths = [dim, *[options.hidden] * options.layers]
        self.layers = nn.ModuleList(nn.GRU(*pair, batch_first=True) for pair in pairwise(widths))
        self.out = nn.Linear(options.hidden, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map item vectors [B, T, D], padded on the right, to states [B, T, D]; state t has seen items 0..t."""
        hidden = self.dropout(vectors * vectors.shape[-1] ** 0.5)
        # Autocast runs cuDNN's recurrent layers in float16, whichever type it was asked for, and nobody scales the loss
        # for that (ATen/cudnn/AutocastRNN.cpp); a recurrence gathers rounding errors besides.
        with torch.autocast(vectors.device.type, enabled=False):
            for layer in self.layers:
                hidden = self.dropout(layer(hidden)[0])
        return self.norm(self.out(hidden))
