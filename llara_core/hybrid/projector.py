"""SR2LLM: from the recommender's item space into the language model's input space (paper, equation 3).

The paper has a two-layer perceptron. Ours beside it: other depths, a small transformer over a prompt's slots, a gate.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from llara_core.params.projector import Fusion, MlpProjector, TransformerProjector
from llara_core.params.projector import Projector as ProjectorParams

_CHUNK = 1024  # items that calibration projects at a time: 16 MiB of behavioural tokens for a 7B model


class Projector(nn.Module, ABC):
    """Maps item vectors [*, D] to behavioural tokens [*, H].

    Attributes:
        last: the map into the language model's space.
        gate: [*, D] → [*, 1] of the logit of half an item's gate; None: its token is taken whole.
    """

    last: nn.Linear
    gate: nn.Linear | None

    @property
    def inner(self) -> Sequence[nn.Linear]:
        """The maps before the last whose inputs calibration brings to unit size."""
        return []

    @abstractmethod
    def features(self, embeddings: Tensor, n_inner: int) -> Tensor:
        """What the first `n_inner` of the inner maps make of embeddings [*, D], with all that follows them."""

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map item vectors [*, D] to behavioural tokens [*, H], before the gate."""
        return self.last(self.features(embeddings, len(self.inner)))

    def at_slots(self, embeddings: Tensor, slot_mask: Tensor) -> Tensor:
        """Map the vectors [K, D] of items at the slots of slot_mask [B, S], in row-major order, to tokens [K, H]."""
        tokens = self._of_prompts(embeddings, slot_mask)
        return tokens if self.gate is None else 2 * self.gate(embeddings).sigmoid() * tokens

    def _of_prompts(self, embeddings: Tensor, slot_mask: Tensor) -> Tensor:
        return self(embeddings)

    def add_gate(self, dim: int) -> None:
        """Put a gate 2 σ(a · v + c), which starts at 1 for every item vector v [D]."""
        self.gate = nn.Linear(dim, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    @torch.no_grad()
    def calibrate(self, embeddings: Tensor, output_rms: float) -> None:
        """Scale inner layers to unit-size inputs and the last to outputs of the size of token embeddings.

        Our addition: with PyTorch's initialisation behavioural tokens start many times larger or smaller than the word
        embeddings beside them, and the first steps are spent on their size.

        Args:
            embeddings: [n, D] all items, without padding.
            output_rms: root mean square of the language model's token embeddings.
        """
        chunks = embeddings.split(_CHUNK)
        for place, layer in enumerate(self.inner):
            layer.weight.div_(_root_mean_square(self.features(chunk, place) for chunk in chunks))
            layer.bias.zero_()
        self.last.bias.zero_()
        self.last.weight.mul_(output_rms / _root_mean_square(map(self, chunks)))


class LinearMap(Projector):
    """One affine map."""

    def __init__(self, dim: int, llm_dim: int) -> None:
        """Build Linear(dim, llm_dim)."""
        super().__init__()
        self.gate = None
        self.last = nn.Linear(dim, llm_dim)

    def features(self, embeddings: Tensor, n_inner: int) -> Tensor:
        """Return the embeddings."""
        return embeddings


class Perceptron(Projector):
    """Affine maps with GELU between them."""

    def __init__(self, dim: int, hidden: int, llm_dim: int, depth: int = 2) -> None:
        """Build Linear(dim, hidden) → GELU → … → Linear(hidden, llm_dim) of `depth` ≥ 2 maps."""
        super().__init__()
        self.gate = None
        self.first = nn.Linear(dim, hidden)
        self.middle = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth - 2))
        self.last = nn.Linear(hidden, llm_dim)

    @property
    def inner(self) -> Sequence[nn.Linear]:
        """All but the last."""
        return [self.first, *self.middle]

    def features(self, embeddings: Tensor, n_inner: int) -> Tensor:
        """What the first `n_inner` maps and their GELUs make of embeddings [*, D]."""
        for layer in self.inner[:n_inner]:
            embeddings = gelu(layer(embeddings))
        return embeddings


class SlotTransformer(Projector):
    """Linear(dim, hidden) → blocks of causal self-attention over a prompt's slots → Linear(hidden, llm_dim).

    A slot sees itself and those before it alone, so that what a language model reads up to a place never depends on
    what comes later. There are no positions: the language model that reads the tokens has them.
    """

    def __init__(self, dim: int, params: TransformerProjector, llm_dim: int) -> None:
        """Build blocks that add nothing yet: in any company a token starts as the linear map of its own item."""
        super().__init__()
        self.gate = None
        self.first = nn.Linear(dim, params.hidden)
        self.blocks = nn.ModuleList(_Block(params.hidden, params.heads) for _ in range(params.blocks))
        self.last = nn.Linear(params.hidden, llm_dim)

    @property
    def inner(self) -> Sequence[nn.Linear]:
        """The map into the blocks, which take norms of their inputs."""
        return [self.first]

    def features(self, embeddings: Tensor, n_inner: int) -> Tensor:
        """What the blocks make of the vectors [*, T, D] of T slots in order, if `n_inner` is 1."""
        if not n_inner:
            return embeddings
        states = self.first(embeddings)
        for block in self.blocks:
            states = block(states)
        return states

    def _of_prompts(self, embeddings: Tensor, slot_mask: Tensor) -> Tensor:
        counts = slot_mask.sum(dim=1, keepdim=True)
        is_slot = torch.arange(int(counts.max()), device=counts.device) < counts
        # Padded behind, where causal attention doesn't look.
        padded = embeddings.new_zeros(*is_slot.shape, embeddings.shape[-1])
        padded[is_slot] = embeddings
        return self(padded)[is_slot]


class _Block(nn.Module):
    """A pre-norm transformer block [*, T, W] → [*, T, W]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_before_attention, self.norm_before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.attended = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for layer in (self.attended, self.down):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor) -> Tensor:
        mixed = self.query_key_value(self.norm_before_attention(states))
        # [*, heads, T, W / heads] each
        query, key, value = mixed.unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-3, -2)
        attended = scaled_dot_product_attention(query, key, value, is_causal=True).transpose(-3, -2).flatten(-2)
        states = states + self.attended(attended)
        return states + self.down(gelu(self.up(self.norm_before_mlp(states))))


def build_projector(projector: ProjectorParams, fusion: Fusion, dim: int, llm_dim: int) -> Projector:
    """Build what params.yaml asks for between item vectors of width `dim` and a language model of width `llm_dim`."""
    built: Projector
    match projector:
        case TransformerProjector():
            built = SlotTransformer(dim, projector, llm_dim)
        case MlpProjector():
            built = Perceptron(dim, projector.hidden, llm_dim, projector.depth)
        case _:
            built = LinearMap(dim, llm_dim)
    if fusion.kind == "gate":
        built.add_gate(dim)
    return built


def _root_mean_square(parts: Iterable[Tensor]) -> float:
    total, count = 0.0, 0
    for part in parts:
        total += part.square().sum(dtype=torch.float64).item()
        count += part.numel()
    return math.sqrt(total / count)
