"""A divided model computes what the whole one does; tests/finetuning/test_two_processes.py has it in two processes."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM

from llara_core.errors import ModelError
from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.division import divide_frozen, is_part
from llara_core.hybrid.model import HybridCausalLM
from llara_core.params.sections import Lora
from llara_core.runtime.division import Division
from tests.factories import APPEND, PROJECTOR, folder_llm

CPU = torch.device("cpu")
needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason="the extra deepspeed isn't installed")
ZERO_3 = pytest.param("ZeRO-3", marks=needs_deepspeed)


@pytest.fixture(autouse=True)
def _group_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LOCAL_RANK", "0")  # where it is missing, DeepSpeed looks for MPI
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/met", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)  # or it tells other tests of a group that is gone


def _hybrid(*, tied: bool, checkpointing: bool, by: Division | None, dropout: float = 0.0) -> HybridCausalLM:
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=50, initializer_range=0.3, tie_word_embeddings=tied, pad_token_id=1, **sizes)
    llm = LlamaForCausalLM(config).requires_grad_(requires_grad=False).eval()
    lora = Lora(rank=2, alpha=4, dropout=dropout, targets="all-linear")
    adapted = attach_lora(llm, lora, folder_llm(Path("x")))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.1)
    if by is not None:
        divide_frozen(llm, CPU, by)
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
@pytest.mark.parametrize("by", ["FSDP", ZERO_3])
def test_losses_and_gradients_are_those_of_the_whole_model(by: Division, tied: bool, checkpointing: bool) -> None:
    whole, divided = (_hybrid(tied=tied, checkpointing=checkpointing, by=way) for way in (None, by))
    for found, expected in zip(_loss_and_gradients(divided), _loss_and_gradients(whole), strict=True):
        assert not isinstance(found, DTensor)
        assert torch.equal(found, expected)
    kept = {name for name, weight in divided.named_parameters() if not is_part(weight)}
    trained = {name for name, weight in divided.named_parameters() if weight.requires_grad}
    rest = {"llm.model.norm.weight"} if by == "ZeRO-3" else set()
    assert kept - trained == {"llm.model.embed_tokens.weight"} | rest  # a tied head has no weight of its own


@torch.no_grad()
@pytest.mark.parametrize("by", ["FSDP", ZERO_3])
def test_a_layer_is_whole_only_while_it_works(by: Division) -> None:
    model = _hybrid(tied=True, checkpointing=False, by=by)
    seen = _watch_layers(model)
    model.backbone(input_ids=torch.arange(4)[None])
    assert seen == [[True, False], [False, True]]


@needs_deepspeed
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_layer_is_whole_only_while_it_works_backwards(checkpointing: bool) -> None:
    model = _hybrid(tied=False, checkpointing=checkpointing, by="ZeRO-3")
    states = model.backbone(input_ids=torch.arange(4)[None], use_cache=False).last_hidden_state
    seen = _watch_layers(model, backwards=True)
    states.sum().backward()
    assert seen == [[False, True], [True, False]]


def _watch_layers(model: HybridCausalLM, *, backwards: bool = False) -> list[list[bool]]:
    """Note, whenever a layer has begun to work, or in its midst backwards, which layers are whole by then."""
    layers = model.llm.model.layers
    weights = [layer.self_attn.q_proj.base_layer for layer in layers]
    seen: list[list[bool]] = []

    def note(*_: object) -> None:
        seen.append([not isinstance(part.weight, DTensor) and part.weight.numel() > 0 for part in weights])

    for layer in layers:
        if backwards:
            layer.mlp.down_proj.lora_B["default"].weight.register_hook(note)
        else:
            layer.self_attn.register_forward_pre_hook(note)
    return seen


@needs_deepspeed
def test_what_is_saved_for_the_backward_pass_keeps_no_layer_whole() -> None:
    """A view of a gathered weight would; the weight itself is emptied."""
    model = _hybrid(tied=False, checkpointing=False, by="ZeRO-3", dropout=0.5)  # with dropout, nn.Linear multiplies
    divided = {weight.ds_tensor.untyped_storage().data_ptr() for weight in model.parameters() if is_part(weight)}
    saved: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() in divided:  # of a group of one, a gathered weight is its part
            saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _loss_and_gradients(model)
    assert len(saved) > 14
    assert all(isinstance(tensor, nn.Parameter) for tensor in saved)


@pytest.mark.parametrize("by", ["FSDP", "ZeRO-3"])
def test_a_model_of_unknown_layers_is_refused(llama: LlamaForCausalLM, by: Division) -> None:
    llama._no_split_modules = None
    with pytest.raises(ModelError, match=f"{by} needs to know the layers of LlamaForCausalLM, which names none"):
        divide_frozen(llama, CPU, by)
