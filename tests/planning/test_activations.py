"""Formulas of activations against the tensors that autograd keeps of models that are built, in every way of numbers."""

from itertools import product

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from llara_core.hybrid.adapter import attach_lora
from llara_core.hybrid.nf4 import quantise
from llara_core.params.params import Params
from llara_core.params.sections import Lora
from llara_core.planning.activations import Numbers, kept_bytes, layer_token_bytes, numbers
from llara_core.planning.shapes import FAMILIES, Shape
from tests.conftest import needs_bitsandbytes
from tests.planning.conftest import Choose

ROWS, WIDTH, RANK = 2, 48, 4
EAGER = "qwen3"  # a family whose scores aren't capped, asked for them all the same
SIZES = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def _attention(kind: str) -> str:
    return "eager" if kind in ("gemma2", EAGER) else "sdpa"


def _kept(
    params: Params,
    kind: str,
    layers: int,
    ways: tuple[str, str, float],
    targets: object,
    checkpoint: bool,
    small: bool = False,
) -> int:
    """Bytes of all storages but weights that autograd saves in a forward pass, each counted once."""
    dtype, precision, dropout = ways
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, num_hidden_layers=layers, **SIZES), attn_implementation=_attention(kind)
    )
    model = model.to(getattr(torch, dtype)).requires_grad_(requires_grad=False)
    if small:
        quantise(model)
        model.to("cpu")
    lora = Lora(rank=RANK, alpha=8, dropout=dropout, targets=targets)
    llm = attach_lora(model, lora, params.selected_llm).get_base_model().train()
    if checkpoint:
        llm.gradient_checkpointing_enable()
    constant = {tensor.untyped_storage().data_ptr() for tensor in (*llm.parameters(), *llm.buffers())}
    held: dict[int, torch.Tensor] = {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in constant:
            held[place] = tensor  # held, so that no other tensor gets its place
        return tensor

    inputs = torch.randn(ROWS, WIDTH, SIZES["hidden_size"], dtype=getattr(torch, dtype), requires_grad=True)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor), autocast:
        llm.model(inputs_embeds=inputs, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())


def _planned(
    kind: str, layers: int, ways: tuple[str, str, float], targets: object, checkpoint: bool, small: bool = False
) -> int:
    dtype, precision, dropout = ways
    shape = Shape.of(AutoConfig.for_model(kind, num_hidden_layers=layers, **SIZES).to_dict(), kind)
    names = tuple(shape.linears) if isinstance(targets, str) else tuple(targets)  # type: ignore[arg-type]
    kept = Numbers(
        2 if dtype == "bfloat16" else 4,
        precision == "bfloat16",
        RANK,
        names,
        dropout > 0,
        mask=4,
        eager=_attention(kind) == "eager",
        quantised=small,
    )
    return kept_bytes(shape, kept, ROWS, WIDTH, checkpointing=checkpoint)


WAYS = list(product(["float32", "bfloat16"], ["float32", "bfloat16"], [0.0, 0.1]))


@pytest.mark.parametrize("ways", WAYS, ids=str)
def test_a_layer_keeps_what_the_formula_says_to_the_byte(params: Params, ways: tuple[str, str, float]) -> None:
    kept = [_kept(params, "llama", layers, ways, "all-linear", checkpoint=False) for layers in (1, 2)]
    planned = [_planned("llama", layers, ways, "all-linear", checkpoint=False) for layers in (1, 2)]
    assert planned[1] - planned[0] == kept[1] - kept[0]
    assert planned[1] == pytest.approx(kept[1], rel=0.02)  # outside the layers: cosines, and norms' odd bytes


@needs_bitsandbytes
@pytest.mark.parametrize("ways", WAYS, ids=str)
def test_beside_maps_of_4_bits_too(params: Params, ways: tuple[str, str, float]) -> None:
    kept = [_kept(params, "llama", layers, ways, "all-linear", checkpoint=False, small=True) for layers in (1, 2)]
    planned = [_planned("llama", layers, ways, "all-linear", checkpoint=False, small=True) for layers in (1, 2)]
    assert planned[1] - planned[0] == kept[1] - kept[0]


@pytest.mark.parametrize("kind", sorted(set(FAMILIES) - {"llama"}))
@pytest.mark.parametrize("ways", [WAYS[0], WAYS[-1]], ids=str)
def test_other_families_do_too(params: Params, kind: str, ways: tuple[str, str, float]) -> None:
    kept = [_kept(params, kind, layers, ways, "all-linear", checkpoint=False) for layers in (1, 2)]
    planned = [_planned(kind, layers, ways, "all-linear", checkpoint=False) for layers in (1, 2)]
    assert planned[1] - planned[0] == pytest.approx(kept[1] - kept[0], rel=0.005)


@pytest.mark.parametrize("ways", [WAYS[0], WAYS[-1]], ids=str)
@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["o_proj"], ["up_proj", "down_proj"]], ids=str)
def test_only_maps_with_lora_keep_their_inputs(
    params: Params, ways: tuple[str, str, float], targets: list[str]
) -> None:
    kept = [_kept(params, "llama", layers, ways, targets, checkpoint=False) for layers in (1, 2)]
    planned = [_planned("llama", layers, ways, targets, checkpoint=False) for layers in (1, 2)]
    # The first maps' input is also what the first norm gives, so that of the lowest layer may not be kept.
    assert planned[1] - planned[0] == pytest.approx(kept[1] - kept[0], rel=0.002)


@pytest.mark.parametrize("ways", [WAYS[0], WAYS[-1]], ids=str)
def test_checkpointing_keeps_a_width_a_token_and_layer(params: Params, ways: tuple[str, str, float]) -> None:
    kept = [_kept(params, "llama", layers, ways, "all-linear", checkpoint=True) for layers in (2, 5)]
    planned = [_planned("llama", layers, ways, "all-linear", checkpoint=True) for layers in (2, 5)]
    assert planned[1] - planned[0] == kept[1] - kept[0]
    assert planned[0] > kept[0]  # with the layer that is made anew


def test_a_layer_by_hand(shape: Shape) -> None:
    # norms 2 · 36; attention 4 · 2 (8 + 4) + 8; perceptron 4 · 60; LoRA 4 · 2 · 7 + 4 (8 + 8 + 20)
    kept = Numbers(4, products=False, rank=2, targets=tuple(shape.linears), dropout=False, mask=4, eager=False)
    assert layer_token_bytes(shape, kept, width=10) == 72 + 104 + 240 + 56 + 144
    # with dropout seven inputs, 3 · 8 + 8 + 2 · 8 + 20 numbers, and their masks; on a GPU these take a byte
    dropped = Numbers(4, products=False, rank=2, targets=tuple(shape.linears), dropout=True, mask=1, eager=False)
    assert layer_token_bytes(shape, dropped, width=10) == 72 + 104 + 240 + 56 + 5 * 68


def test_masks_are_smaller_on_a_gpu(choose: Choose, shape: Shape) -> None:
    params = choose("answer", lora__dropout=0.1)
    assert [numbers(params, shape, device).mask for device in ("cpu", "cuda")] == [4, 1]


@pytest.mark.parametrize(("rows", "gigabytes"), [(1, 21.30), (2, 29.07)])
def test_another_implementation_takes_as_much_of_llama_2_7b(rows: int, gigabytes: float) -> None:
    """LitGPT's table for LoRA of rank 8 on queries and values, 1,304 tokens, bfloat16, an A100."""
    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}
    shape = Shape.of({"model_type": "llama", "vocab_size": 32000, **sizes}, "Llama-2-7B")
    kept = Numbers(2, products=True, rank=8, targets=("q_proj", "v_proj"), dropout=True, mask=1, eager=False)
    activations = kept_bytes(shape, kept, rows, 1304, checkpointing=False)
    logits = 14 * rows * 1304 * 32000  # its loss is on every token
    assert (2 * shape.parameters + activations + logits) / 1e9 == pytest.approx(gigabytes, rel=0.1)
