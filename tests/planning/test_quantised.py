"""Bytes of maps of 4 bits: by hand, against what bitsandbytes keeps, and in a plan."""

from itertools import product
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from llara_core.hybrid.base_llm import load_base_llm
from llara_core.params.params import Params
from llara_core.planning.finding import find_llm
from llara_core.planning.memory import GIB, estimate_memory
from llara_core.planning.quantised import map_bytes, model_bytes, product_bytes
from llara_core.planning.shapes import Shape
from llara_core.planning.workload import Workload
from tests.conftest import make_llama, needs_bitsandbytes
from tests.factories import folder_llm
from tests.planning.conftest import Choose


def test_a_map_by_hand() -> None:
    # 4,096 codes; a byte for each of 64 blocks; one scale of scales; their mean; 16 and 256 levels
    assert map_bytes(64 * 64) == 2048 + 64 + 4 + 4 + 1088
    # 257 blocks, the last of one weight alone, need two scales of scales
    assert map_bytes(256 * 64 + 1) == 8193 + 257 + 8 + 4 + 1088
    assert 8 * (map_bytes(2**30) - 1092) / 2**30 == pytest.approx(4.127, abs=1e-4)  # the paper's


def test_a_model_by_hand(shape: Shape) -> None:
    # H 8, A 8, K 4, I 20: q and o of 64 weights, k and v of 32, three of 160; norms 16; 3 layers, V 50
    maps = 2 * (32 + 1) + 2 * (16 + 1) + 3 * (80 + 3) + 7 * (4 + 4 + 1088)
    assert model_bytes(shape, 2) == 3 * (maps + 2 * 16) + 2 * (400 + 8 + 400)
    assert product_bytes(shape, 2) == 2 * 160 + 4 * 3
    assert product_bytes(shape, 4) == 4 * 160 + 4 * 3


@needs_bitsandbytes
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_kept_is_what_is_planned_to_the_byte(tmp_path: Path, dtype: str) -> None:
    config = make_llama(50).config
    config.hidden_size, config.intermediate_size, config.head_dim, config.tie_word_embeddings = 136, 200, 34, False
    type(make_llama(50))(config).save_pretrained(tmp_path)
    entry = folder_llm(tmp_path, dtype, quantization="nf4")
    llm = load_base_llm(entry, torch.device("cpu"))
    kept = sum(weight.nbytes for weight in llm.parameters())
    for layer in (part for part in llm.modules() if type(part).__name__ == "Linear4bit"):
        state = layer.weight.quant_state
        kept += sum(part.nbytes for part in (state.absmax, state.code, state.offset))
        kept += state.state2.absmax.nbytes + state.state2.code.nbytes
    shape = Shape.of(AutoConfig.from_pretrained(tmp_path).to_dict(), "tiny")
    assert model_bytes(shape, 4 if dtype == "float32" else 2) == kept


def _planned(
    choose: Choose, quantization: str | None, dtype: str, objective: str = "answer", **values: object
) -> Params:
    params = choose(objective, llm__name="llama-2-7b-qlora", **values)
    entry = params.selected_llm.model_copy(update={"quantization": quantization, "dtype": dtype})
    return params.model_copy(update={"llms": {**params.llms, params.llm.name: entry}})


@pytest.mark.parametrize(("device", "dtype"), list(product(["cpu", "cuda"], ["float32", "bfloat16"])))
def test_a_plan_has_the_smaller_weights_and_a_map_at_work(
    choose: Choose, shape: Shape, workload: Workload, device: str, dtype: str
) -> None:
    number = 4 if dtype == "float32" else 2
    plain, small = (estimate_memory(_planned(choose, kind, dtype), shape, workload, device) for kind in (None, "nf4"))
    assert small.weights == model_bytes(shape, number)
    assert small.working - plain.working == product_bytes(shape, number)
    assert (small.logits, small.optimizer, small.activations) == (plain.logits, plain.optimizer, plain.activations)
    if device == "cpu":  # where they are made, not mapped, before training starts
        assert small.starting - plain.starting == small.weights - number * shape.embedding


def test_a_head_that_is_not_touched_on_a_cpu_is_not_counted(choose: Choose, shape: Shape, workload: Workload) -> None:
    params = _planned(choose, "nf4", "bfloat16", "choice", objectives__choice__layers=2)
    found = {device: estimate_memory(params, shape, workload, device).weights for device in ("cpu", "cuda")}
    lower = model_bytes(shape.lowest(2), 2)
    assert found == {"cpu": lower - 2 * 400, "cuda": lower}


def test_products_in_bfloat16_copy_no_map_of_4_bits(choose: Choose, shape: Shape, workload: Workload) -> None:
    plain, small = (
        estimate_memory(_planned(choose, kind, "float32", train__precision="bfloat16"), shape, workload, "cpu")
        for kind in (None, "nf4")
    )
    # But of 20 tokens the perceptron's 3 · 20 numbers are float32, as what its maps read.
    assert plain.activations - small.activations == 3 * (2 * shape.layer_matrices - 20 * 3 * 20 * (4 - 2))


def test_llama_2_7b_in_4_bits_is_as_others_have_measured(choose: Choose, workload: Workload) -> None:
    """LitGPT's inference in nf4-dq takes 4.26 GB, with the head in 4 bits too and a context at hand."""
    params = choose("answer", llm__name="llama-2-7b-qlora")
    memory = estimate_memory(params, find_llm(params.selected_llm).shape, workload, "cuda")
    assert memory.weights / 1e9 == pytest.approx(3.87, abs=0.005)
    assert memory.weights / GIB == pytest.approx(3.60, abs=0.005)
    assert memory.weights / 1e9 == pytest.approx(4.26, rel=0.1)
