"""Merged weights against W + s B A (arXiv 2106.09685, equation 3), worked out in the test."""

import copy
from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from llara_core.errors import ArtifactError
from llara_core.hybrid.adapter import attach_lora
from llara_core.hybrid.merging import merge_lora
from llara_core.params.sections import Lora
from tests.conftest import make_llm
from tests.factories import folder_llm


@pytest.fixture
def adapted(llama: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> LlamaForCausalLM:
    base = folder_llm(tmp_path_factory.getbasetemp())
    wrapper = attach_lora(llama, Lora(rank=2, alpha=6, dropout=0.0, targets="all-linear"), base)
    torch.manual_seed(1)
    for name, weight in wrapper.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight)
    found = wrapper.get_base_model()
    assert isinstance(found, LlamaForCausalLM)
    return found.eval()


def test_weights_are_summed_and_answers_stay(adapted: LlamaForCausalLM) -> None:
    ids = torch.tensor([[5, 9, 2, 7]])
    before = copy.deepcopy(adapted)
    layers = {name: part for name, part in before.named_modules() if isinstance(part, LoraLayer)}
    assert len(layers) == 2 * 7
    merge_lora(adapted, "adapter")
    assert not any(isinstance(part, LoraLayer) for part in adapted.modules())
    for name, layer in layers.items():
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        found = adapted.get_submodule(name).weight
        torch.testing.assert_close(found, layer.get_base_layer().weight + 3 * up @ down)  # s = 6 / 2
    with torch.no_grad():
        torch.testing.assert_close(adapted(ids).logits, before(ids).logits, rtol=1e-4, atol=1e-4)


def test_weights_that_are_no_numbers_are_refused(adapted: LlamaForCausalLM) -> None:
    adapted.model.layers[1].self_attn.q_proj.lora_B["default"].weight.data[0, 0] = float("inf")
    with pytest.raises(
        ArtifactError, match=r"adapter: must give finite weights when merged, model.layers.1.self_attn.q_proj"
    ):
        merge_lora(adapted, "adapter")


@torch.no_grad()
@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
@pytest.mark.parametrize("tied", [True, False])
def test_of_tied_ends_only_the_adapted_one_changes(tied: bool, target: str, tmp_path: Path) -> None:
    """Merged into the matrix that both share, the head's products would be read as words too."""
    llm = make_llm("llama", 50)
    llm.config.tie_word_embeddings = tied
    llm.tie_weights()
    assert (llm.lm_head.weight is llm.model.embed_tokens.weight) == tied
    wrapper = attach_lora(llm, Lora(rank=2, alpha=6, dropout=0.0, targets=["q_proj", target]), folder_llm(tmp_path))
    for name, weight in wrapper.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted, ids = wrapper.get_base_model().eval(), torch.tensor([[5, 9, 2, 7]])
    expected = adapted(ids).logits
    merge_lora(adapted, "adapter")
    torch.testing.assert_close(adapted(ids).logits, expected, rtol=1e-4, atol=1e-4)
    adapted.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.config.tie_word_embeddings is False  # some versions of transformers go by it alone
    torch.testing.assert_close(again(ids).logits, expected, rtol=1e-4, atol=1e-4)
