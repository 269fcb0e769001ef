"""SR2LLM: from the recommender's item space into the language model's input space (paper, equation 3)."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

_CHUNK = 1024  # items that calibration projects at a time: 16 MiB of behavioural tokens for a 7B model


class Projector(nn.Module):
    """A two-layer perceptron [*, D] → [*, H]."""

    def __init__(self, dim: int, hidden: int, llm_dim: int) -> None:
        """Build Linear(dim, hidden) → GELU → Linear(hidden, llm_dim)."""
        super().__init__()
        self.first = nn.Linear(dim, hidden)
        self.last = nn.Linear(hidden, llm_dim)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map item embeddings [*, D] to behavioural tokens [*, H]."""
        return self.last(gelu(self.first(embeddings)))

    @torch.no_grad()
    def calibrate(self, embeddings: Tensor, output_rms: float) -> None:
        """Scale the first layer to unit-size inputs and the last to outputs of the size of token embeddings.

        Our addition: with PyTorch's initialisation behavioural tokens start many times larger or smaller than the word
        embeddings beside them, and the first steps are spent on their size.

        Args:
            embeddings: [n, D] all items, without padding.
            output_rms: root mean square of the language model's token embeddings.
        """
        chunks = embeddings.split(_CHUNK)
        self.first.weight.div_(_root_mean_square(chunks))
        self.first.bias.zero_()
        self.last.bias.zero_()
        self.last.weight.mul_(output_rms / _root_mean_square(map(self, chunks)))


def _root_mean_square(parts: Iterable[Tensor]) -> float:
    total, count = 0.0, 0
    for part in parts:
        total += part.square().sum(dtype=torch.float64).item()
        count += part.numel()
    return math.sqrt(total / count)
