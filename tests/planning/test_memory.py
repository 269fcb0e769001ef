"""Parts of a peak, by hand."""

from dataclasses import replace

import pytest

from llara_core.planning.memory import GIB, HOLES, PROGRAM, estimate_memory
from llara_core.planning.shapes import Shape
from llara_core.planning.trained import count_trained
from llara_core.planning.workload import Workload
from tests.planning.conftest import Choose


def test_trained_weights_have_gradients_moments_and_two_copies(
    choose: Choose, shape: Shape, workload: Workload
) -> None:
    params = choose("answer")
    trained, memory = count_trained(params, shape).all, estimate_memory(params, shape, workload, "cpu")
    assert [memory.trained, memory.gradients, memory.optimizer, memory.averages] == [
        4 * trained,
        4 * trained,
        8 * trained,
        8 * trained,
    ]


def test_weights_are_those_that_are_read_in_the_model_s_numbers(
    choose: Choose, shape: Shape, workload: Workload
) -> None:
    # The vocabulary's head, 400 weights, is mapped and never touched where none of it is needed.
    cases = {
        ("answer", "cpu"): 4 * 2872,
        ("choice", "cpu"): 4 * (2872 - 400 - 688),
        ("choice", "cuda"): 4 * (2872 - 688),
    }
    for (objective, device), expected in cases.items():
        layers = {} if objective == "answer" else {f"objectives__{objective}__layers": 2}
        assert estimate_memory(choose(objective, **layers), shape, workload, device).weights == expected
    half = choose("answer")
    llms = {**half.llms, half.llm.name: half.selected_llm.model_copy(update={"dtype": "bfloat16"})}
    half = half.model_copy(update={"llms": llms})
    assert estimate_memory(half, shape, workload, "cpu").weights == 2 * 2872


def test_of_divided_weights_a_gpu_has_its_part_and_what_is_at_work(
    choose: Choose, shape: Shape, workload: Workload
) -> None:
    params, many = choose("answer"), replace(shape, layers=20)
    # 400 of embeddings are whole; a layer has 688, the head 400, the norm 8
    expected = 400 + (20 * 688 + 400 + 8) / 4 + 2 * 688
    divided, alone = (estimate_memory(params, many, workload, "cuda", parts) for parts in (4, 1))
    assert divided.weights == 4 * expected
    assert alone.weights - divided.weights == alone.starting - divided.starting
    assert estimate_memory(params, many, workload, "cpu", 4) == estimate_memory(params, many, workload, "cpu")
    large = replace(many, vocabulary=500)
    assert estimate_memory(params, large, workload, "cuda", 4).weights == 4 * (4000 + (20 * 688 + 4008) / 4 + 2 * 4000)
    assert estimate_memory(params, shape, workload, "cuda", 2).weights == 4 * 2872  # never more than the whole


def test_logits_of_answers_are_those_of_the_vocabulary(choose: Choose, shape: Shape, workload: Workload) -> None:
    # 2 rows × 3 answer tokens × 50 words × 12 bytes; 14 where a copy in bfloat16 comes first
    assert estimate_memory(choose("answer"), shape, workload, "cpu").logits == 3600
    assert estimate_memory(choose("answer", train__precision="bfloat16"), shape, workload, "cuda").logits == 4200
    assert estimate_memory(choose("choice", objectives__choice__layers=2), shape, workload, "cpu").logits == 0


def test_scores_of_a_stream_are_those_of_the_catalogue(choose: Choose, shape: Shape, workload: Workload) -> None:
    params = choose("stream", objectives__stream__layers=2, objectives__stream__validation__positions=7)
    # 8 places are asked: 8 · 8 · 30 and the teacher's; vectors 4 · 30 · 64; noise 4 · 8 · 8; validation 12 · 30 · 7
    assert estimate_memory(params, shape, workload, "cpu").logits == 2 * 1920 + 7680 + 256 + 2520
    sampled = {"beyond": 10, "negatives": 5}
    drawn = choose("stream", objectives__stream__layers=2, objectives__stream__sampled=sampled)
    assert estimate_memory(drawn, shape, workload, "cuda").logits == 2 * 8 * 8 * 5 + 7680 + 256


def test_the_peak_is_the_sum_of_the_parts_or_that_of_the_start(
    choose: Choose, shape: Shape, workload: Workload
) -> None:
    memory = estimate_memory(choose("answer"), shape, workload, "cpu")
    passing = memory.activations + memory.working + memory.logits
    assert memory.allocator == round(HOLES["cpu"] * passing)
    kept = memory.weights + memory.trained + memory.gradients + memory.optimizer + memory.averages
    assert memory.peak == memory.program + kept + passing + memory.allocator
    assert memory.program == PROGRAM["cpu"] + 20 * 100 + 4 * 5 * 20
    wide = estimate_memory(choose("choice", objectives__choice__layers=1), Shape.of(_WIDE, "wide"), workload, "cuda")
    assert wide.peak == wide.starting == wide.program + wide.weights + wide.trained + 4 * _WIDE["vocab_size"] * 8


_WIDE = {
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "vocab_size": 20_000_000,
    "tie_word_embeddings": True,
}


def test_capped_logits_take_two_numbers_more(choose: Choose, shape: Shape, workload: Workload) -> None:
    plain, capped = (
        estimate_memory(choose("answer"), replace(shape, caps_logits=caps), workload, "cpu").logits
        for caps in (False, True)
    )
    assert capped * 12 == plain * 20


def test_on_a_cpu_weights_are_touched_after_the_start(choose: Choose, shape: Shape, workload: Workload) -> None:
    memory, trained = estimate_memory(choose("answer"), shape, workload, "cpu"), count_trained(choose("answer"), shape)
    assert memory.starting == memory.program + 4 * 400 + 4 * trained.all + 4 * 400


def test_holes_on_a_cpu_are_those_of_all_that_a_step_makes(choose: Choose, shape: Shape, workload: Workload) -> None:
    off, on = (
        estimate_memory(choose("answer", train__gradient_checkpointing=checkpoint), shape, workload, "cpu")
        for checkpoint in (False, True)
    )
    assert off.allocator == on.allocator
    assert off.activations > on.activations


def test_checkpointing_saves_activations_alone(choose: Choose, shape: Shape, workload: Workload) -> None:
    off, on = (
        estimate_memory(choose("answer", train__gradient_checkpointing=checkpoint), shape, workload, "cuda").parts
        for checkpoint in (False, True)
    )
    assert {part for part in off if off[part] != on[part]} == {"activations", "allocator"}
    assert on["activations"] < off["activations"]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_llama_2_7b_is_planned_as_it_is_known(choose: Choose, workload: Workload, device: str) -> None:
    """13.5 GB of weights in bfloat16, whatever else; checkpointing takes most of the activations away."""
    from llara_core.planning.finding import find_llm

    params = choose("answer", llm__name="llama-2-7b", train__precision="bfloat16")
    whole = find_llm(params.selected_llm).shape
    memory = estimate_memory(params, whole, workload, device)
    assert memory.weights / GIB == pytest.approx(12.55, abs=0.01)
