"""A divided model computes what the whole one does; tests/finetuning/test_two_processes.py has it in two processes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM

from llara_core.errors import ModelError
from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.division import divide_frozen
from llara_core.hybrid.model import HybridCausalLM
from llara_core.params.sections import Lora
from tests.factories import APPEND, PROJECTOR, folder_llm

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _group_of_one(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/met", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def _hybrid(*, tied: bool, checkpointing: bool, divided: bool) -> HybridCausalLM:
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=50, initializer_range=0.3, tie_word_embeddings=tied, pad_token_id=1, **sizes)
    llm = LlamaForCausalLM(config).requires_grad_(requires_grad=False).eval()
    lora = Lora(rank=2, alpha=4, dropout=0.0, targets="all-linear")
    adapted = attach_lora(llm, lora, folder_llm(Path("x")))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.1)
    if divided:
        divide_frozen(llm, CPU)
    if checkpointing:
        llm.gradient_checkpointing_enable()
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    return build_hybrid(adapted.get_base_model(), vectors, PROJECTOR, APPEND).train()


def _loss_and_gradients(model: HybridCausalLM) -> list[torch.Tensor]:
    ids = torch.arange(12).view(2, 6)
    slots = torch.zeros(2, 6, dtype=torch.bool)
    slots[:, 2] = True
    loss = model(input_ids=ids, slot_mask=slots, slot_items=torch.tensor([1, 4]), labels=ids)
    loss.backward()
    return [loss.detach(), *(weight.grad for weight in model.parameters() if weight.requires_grad)]


@pytest.mark.parametrize(("tied", "checkpointing"), [(True, False), (False, True)])
def test_losses_and_gradients_are_those_of_the_whole_model(tied: bool, checkpointing: bool) -> None:
    whole, divided = (_hybrid(tied=tied, checkpointing=checkpointing, divided=d) for d in (False, True))
    for found, expected in zip(_loss_and_gradients(divided), _loss_and_gradients(whole), strict=True):
        assert not isinstance(found, DTensor)
        assert torch.equal(found, expected)
    kept = {name for name, weight in divided.named_parameters() if not isinstance(weight, DTensor)}
    trained = {name for name, weight in divided.named_parameters() if weight.requires_grad}
    assert kept - trained == {"llm.model.embed_tokens.weight"}  # a tied head has no weight of its own


@torch.no_grad()
def test_a_layer_is_whole_only_while_it_works() -> None:
    model = _hybrid(tied=True, checkpointing=False, divided=True)
    weights = [layer.self_attn.q_proj.base_layer for layer in model.llm.model.layers]
    seen = []
    for layer in model.llm.model.layers:
        layer.self_attn.register_forward_pre_hook(
            lambda *_: seen.append([isinstance(part.weight, DTensor) for part in weights])
        )
    model.backbone(input_ids=torch.arange(4)[None])
    assert seen == [[False, True], [True, False]]


def test_a_model_of_unknown_layers_is_refused(llama: LlamaForCausalLM) -> None:
    llama._no_split_modules = None
    with pytest.raises(ModelError, match="FSDP needs to know the layers of LlamaForCausalLM, which names none"):
        divide_frozen(llama, CPU)
