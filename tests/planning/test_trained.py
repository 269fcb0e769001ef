"""Trained weights against those of adapters, projectors and heads that are built, and an optimiser that has stepped."""

import pytest
import torch
from transformers import LlamaForCausalLM

from llara_core.errors import ParamsError
from llara_core.hybrid.adapter import attach_lora
from llara_core.hybrid.projector import build_projector
from llara_core.hybrid.recommender_head import RecommenderHead
from llara_core.objectives.choice.model import ChoiceMaps
from llara_core.params.params import Params
from llara_core.planning.shapes import Shape
from llara_core.planning.trained import count_trained
from tests.factories import FUSIONS, PROJECTORS
from tests.planning.conftest import Choose


def _shape(llama: LlamaForCausalLM) -> Shape:
    return Shape.of(llama.config.to_dict(), "tiny")


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj"], ["down_proj"]])
def test_lora_by_numel_and_the_optimiser_by_its_state(
    choose: Choose, llama: LlamaForCausalLM, targets: list[str] | str
) -> None:
    params, shape = choose("answer", lora__rank=3, lora__targets=targets), _shape(llama)
    adapted = attach_lora(llama, params.lora, params.selected_llm)
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    numel = sum(weight.numel() for weight in weights)
    assert count_trained(params, shape).lora == numel
    optimizer = torch.optim.AdamW(weights)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    moments = [tensor for state in optimizer.state.values() for tensor in state.values() if tensor.numel() > 1]
    assert sum(tensor.numel() * tensor.element_size() for tensor in moments) == 8 * numel


def test_lora_counts_the_layers_that_are_read(choose: Choose, shape: Shape) -> None:
    params = choose("answer")
    assert 3 * count_trained(params, shape.lowest(1)).lora == count_trained(params, shape).lora


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.kind)
@pytest.mark.parametrize("kind", sorted(PROJECTORS))
def test_projectors_by_numel(params: Params, shape: Shape, kind: str, fusion: object) -> None:
    chosen = params.model_copy(update={"projector": PROJECTORS[kind], "fusion": fusion})
    built = build_projector(PROJECTORS[kind], fusion, params.selected_recommender.dim, shape.hidden)  # type: ignore[arg-type]
    assert count_trained(chosen, shape).projector == sum(weight.numel() for weight in built.parameters())


def test_heads_by_numel(choose: Choose, shape: Shape) -> None:
    dim = choose("stream").selected_recommender.dim
    stream, choice = RecommenderHead(shape.hidden, torch.zeros(3, dim)), ChoiceMaps(shape.hidden, dim)
    expected = [sum(weight.numel() for weight in head.parameters()) for head in (stream, choice)]
    assert [count_trained(choose(name), shape).head for name in ("stream", "choice", "answer")] == [*expected, 0]


@pytest.mark.parametrize("targets", [["c_fc"], ["q_proj", "c_fc"], ["down_proj", "embed_tokens"]])
def test_targets_that_are_not_counted_are_refused(choose: Choose, shape: Shape, targets: list[str]) -> None:
    with pytest.raises(
        ParamsError, match=rf"lora.targets must name linear layers of the model \(q_proj, .*got \['{targets[-1]}'\]"
    ):
        count_trained(choose("answer", lora__targets=targets), shape)
