"""LoRA, projector and heads, held against their formulas."""

from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from torch.nn.functional import linear
from transformers import LlamaForCausalLM

from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.batching import IGNORED, pad_examples
from llara_core.hybrid.projector import Perceptron
from llara_core.params.sections import Lora
from llara_core.prompting.encoding import EncodedPrompt
from tests.factories import APPEND, PROJECTOR, folder_llm

BASE = folder_llm(Path("x"))
ATTENTION, MLP = ["q_proj", "k_proj", "v_proj", "o_proj"], ["gate_proj", "up_proj", "down_proj"]


def _layers(adapted: peft.PeftModel) -> dict[str, torch.nn.Module]:
    layers = {name: module for name, module in adapted.named_modules() if hasattr(module, "lora_A")}
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for layer in layers.values():
            layer.lora_B["default"].weight.normal_(generator=generator)
    return layers


@torch.no_grad()
def test_lora_adds_alpha_over_rank_of_two_products(llama: LlamaForCausalLM) -> None:
    layers = _layers(attach_lora(llama, Lora(rank=2, alpha=6, dropout=0.0, targets="all-linear"), BASE))
    for layer in layers.values():
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        assert down.shape == (2, layer.in_features)
        inputs = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(0))
        expected = linear(inputs, layer.base_layer.weight) + 6 / 2 * linear(linear(inputs, down), up)
        assert torch.allclose(layer(inputs), expected, atol=1e-5)


@pytest.mark.parametrize(("targets", "names"), [("all-linear", ATTENTION + MLP), (["k_proj", "up_proj"], None)])
def test_lora_stands_at_the_named_layers_and_at_no_head(
    llama: LlamaForCausalLM, targets: str | list[str], names: list[str] | None
) -> None:
    layers = _layers(attach_lora(llama, Lora(rank=2, alpha=4, dropout=0.0, targets=targets), BASE))
    found = [name.rsplit(".", 1)[1] for name in layers]
    assert sorted(found) == sorted(2 * (names or ["k_proj", "up_proj"]))  # in each of two blocks


@torch.no_grad()
def test_lora_s_dropout_falls_on_its_own_path_in_training_alone(llama: LlamaForCausalLM) -> None:
    layers = _layers(attach_lora(llama, Lora(rank=2, alpha=4, dropout=0.5, targets=["q_proj"]), BASE))
    layer = next(iter(layers.values()))
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    inputs = torch.ones(400, layer.in_features)
    added = 4 / 2 * linear(linear(inputs, down), up)
    plain = linear(inputs, layer.base_layer.weight)
    assert torch.allclose(layer.eval()(inputs) - plain, added, atol=1e-5)
    dropped = layer.train()(inputs) - plain
    # Each input is dropped or doubled: an output's variance over rows is p / (1 - p) times its summed squared weights.
    variance = (4 / 2 * (up @ down)).square().sum(dim=1)
    assert torch.allclose(dropped.var(dim=0), variance, rtol=0.4)


def test_the_projector_is_linear_gelu_linear() -> None:
    projector = Perceptron(1, 2, 1)
    with torch.no_grad():
        projector.first.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        projector.first.bias.copy_(torch.tensor([0.0, 0.5]))
        projector.last.weight.copy_(torch.tensor([[10.0, 1.0]]))
        projector.last.bias.copy_(torch.tensor([3.0]))
    # GELU(1) = Φ(1) = .841345, GELU(-.5) = -.5 Φ(-.5) = -.5 · .308538
    assert projector(torch.tensor([[1.0]])).item() == pytest.approx(10 * 0.841345 - 0.154269 + 3, abs=1e-4)


def test_calibration_divides_by_the_inputs_size_and_clears_biases() -> None:
    torch.manual_seed(0)
    projector = Perceptron(2, 3, 4)
    before = projector.first.weight.detach().clone()
    projector.calibrate(torch.tensor([[3.0, -3.0], [3.0, 3.0]]), output_rms=0.5)
    assert torch.allclose(projector.first.weight, before / 3)
    assert projector.first.bias.tolist() == [0, 0, 0]
    assert projector.last.bias.tolist() == [0, 0, 0, 0]


@torch.no_grad()
def test_a_fresh_projector_gives_tokens_of_the_size_of_words_whatever_the_padding_row(
    llama: LlamaForCausalLM, item_embeddings: np.ndarray
) -> None:
    vectors = item_embeddings.copy()
    vectors[0] = 1e3
    model = build_hybrid(llama, vectors, PROJECTOR, APPEND)
    tokens = model.projector(model.item_embeddings[1:]).square().mean().sqrt().item()
    assert tokens == pytest.approx(llama.get_input_embeddings().weight.square().mean().sqrt().item(), rel=1e-4)


@torch.no_grad()
def test_logits_are_in_single_precision(llama: LlamaForCausalLM, item_embeddings: np.ndarray) -> None:
    model = build_hybrid(llama, item_embeddings, PROJECTOR, APPEND)
    model.llm.to(torch.bfloat16)
    assert model.head(torch.ones(2, 16, dtype=torch.bfloat16)).dtype == torch.float32


def test_padding_of_unequal_examples_by_hand() -> None:
    prompts = [EncodedPrompt([5, 6, 7], [False, True, False], [3]), EncodedPrompt([8], [True], [4])]
    batch = pad_examples(prompts, [[9, 0], [2, 0]], filler_id=1)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 9, 0], [8, 2, 0, 1, 1]]
    assert batch["slot_mask"].long().tolist() == [[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, IGNORED, 9, 0], [IGNORED, 2, 0, IGNORED, IGNORED]]
    assert batch["slot_items"].tolist() == [3, 4]
    assert IGNORED == -100


def test_the_base_model_is_loaded_for_evaluation_in_the_wanted_precision(llama_folder: Path) -> None:
    base = BASE.model_copy(update={"path": llama_folder, "dtype": "bfloat16"})
    model = load_base_llm(base, torch.device("cpu"))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not any(module.training for module in model.modules())
