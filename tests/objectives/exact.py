"""Models of float64 in which all that learns is far from its start, and what they are asked."""

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.recommender_head import RecommenderHead
from llara_core.objectives.choice.model import ChoiceModel
from llara_core.objectives.stream.model import StreamModel
from llara_core.params.projector import Fusion
from llara_core.params.sections import Lora
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Mode
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from tests.conftest import TITLES, make_llm
from tests.factories import PROJECTORS
from tests.objectives.by_hand import THETA
from tests.objectives.stream.conftest import BASE
from tests.recommenders.recipes import tiny

TEMPLATES = ("After {history} comes one of {candidates}:", "Of {candidates} choose what follows {history}. Answer:")
QUESTIONS = [
    Question(0, [3, 5], [6, 1, 2], 2, "this"),
    Question(1, [7, 8, 1], [4, 5, 6], 4, "this"),
    Question(0, [2], [2, 8, 7], 8, "this"),
    Question(1, [5, 5, 6, 1], [3, 7, 5], 7, "this"),
]
CHUNKS: list[tuple[list[int], list[int | None]]] = [
    ([6, 4, 1], [None, 1, 8]),
    ([2], [7]),
    ([3, 5, 5, 8], [5, 5, None, 2]),
    ([8, 1], [1, 6]),
]
# What a step can hold: a curriculum mixes text with one of the others.
MIXED: dict[str, list[Mode]] = {
    "hybrid": ["hybrid", "text", "hybrid", "hybrid"],
    "id": ["text", "id", "id", "id"],
    "text": ["text"] * 4,
}
SHARE = 0.6  # the teacher's


class _Norm(nn.Module):
    """Llama's norm, which transformers computes in float32."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        self.weight, self._epsilon = nn.Parameter(weight, requires_grad=False), epsilon

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self._epsilon)


class _Rotary(nn.Module):
    """Llama's cosines and sines [B, S, W], which transformers computes in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._speeds = THETA ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)

    def forward(self, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        angles = (position_ids[..., None] * self._speeds).repeat(1, 1, 2)
        return angles.cos(), angles.sin()


def _in_double_precision(llama: LlamaForCausalLM) -> LlamaForCausalLM:
    """Replace the only two parts that stay in float32 when a Llama is made one of float64."""
    generator = torch.Generator().manual_seed(5)

    def norm(of: nn.Module) -> _Norm:
        weight = 1 + 0.3 * torch.randn(of.weight.shape, generator=generator)
        return _Norm(weight, of.variance_epsilon)

    for layer in llama.model.layers:
        layer.input_layernorm = norm(layer.input_layernorm)
        layer.post_attention_layernorm = norm(layer.post_attention_layernorm)
    llama.model.norm = norm(llama.model.norm)
    llama.model.rotary_emb = _Rotary(llama.config.hidden_size // llama.config.num_attention_heads)
    return llama.double()


def make_recommender() -> SequentialRecommender:
    torch.manual_seed(3)
    return build_recommender(tiny("sasrec", tied=True), len(TITLES) - 1, history_length=8).eval().double()


def make_hybrid(vocabulary: int, kind: str, fusion: Fusion, family: str = "llama") -> HybridCausalLM:
    """Join a tiny language model with LoRA and this projector, as in training; LoRA's dropout is 0."""
    llm, lora = make_llm(family, vocabulary), Lora(rank=2, alpha=4, dropout=0.0, targets="all-linear")
    torch.manual_seed(4)
    adapted = attach_lora(_in_double_precision(llm) if family == "llama" else llm.double(), lora, BASE)
    vectors = np.asarray(make_recommender().output_weights.detach().float())
    hybrid = build_hybrid(adapted.get_base_model(), vectors, PROJECTORS[kind], fusion).double()
    scatter(hybrid)
    return hybrid.train()


def make_choice(hybrid: HybridCausalLM) -> ChoiceModel:
    model = ChoiceModel(hybrid, make_recommender(), SHARE).double()
    scatter(model.maps)
    return model


def make_stream(hybrid: HybridCausalLM) -> StreamModel:
    recommender = make_recommender()
    head = RecommenderHead(hybrid.width, recommender.output_weights.detach().clone())
    model = StreamModel(hybrid, head, recommender, SHARE).double()
    scatter(model.head)
    return model


@torch.no_grad()
def scatter(model: nn.Module) -> None:
    """Move what is trained far from its start, at which much of it does nothing."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.normal_(std=0.4)


def require_equal_gradients(
    model: nn.Module,
    found: dict[str, Tensor | None],
    expected: Tensor,
    *,
    has_tokens: bool,
    unused: str = "",
    within: float = 1e-10,
) -> None:
    """Compare gradients by name with those of the loss `expected`; with behavioural tokens every weight must have one.

    A weight of the name `unused` has no influence, and a gradient that is all rounding.
    """
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    gradients = torch.autograd.grad(expected, list(weights.values()), allow_unused=True)
    assert found.keys() == weights.keys()
    for name, gradient in zip(weights, gradients, strict=True):
        own = found[name]
        assert (own is None) == (gradient is None) == ("projector." in name and not has_tokens), name
        if own is None:
            continue
        assert own.dtype == gradient.dtype == torch.float64
        size = max(gradient.abs().max().item(), 1.0)
        assert (own - gradient).abs().max().item() < within * size, name
        assert gradient.abs().max() > 1e-6 or name == unused, name
