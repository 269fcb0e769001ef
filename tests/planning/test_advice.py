"""Changes that make a run fit: each by itself, and the shortest row of them."""

from pathlib import Path

import pytest

from llara_core.experiments.overrides import override
from llara_core.params.loading import read_plain
from llara_core.params.params import Params
from llara_core.planning.advice import advise
from llara_core.planning.finding import Found, find_llm
from llara_core.planning.memory import GIB, estimate_memory
from llara_core.planning.workload import Catalogue, Lengths, Workload, changed, plan_workload
from tests.conftest import ROOT
from tests.planning.conftest import Choose

CATALOGUE = Catalogue(interactions=82_520, items=1682, examples=66_127, lists=0, origin="here")
LENGTHS = Lengths(mean=220, widest=280, padded=230, item=5.4, answer=5, slots=30, targets=20, origin="here")


def _seven_billion(choose: Choose, objective: str, **values: object) -> tuple[Params, Found, Workload]:
    sizes = {f"objectives__{objective}__micro_batch_size": 8}
    params = choose(objective, **{"llm__name": "llama-2-7b", "train__precision": "bfloat16", **sizes, **values})
    return params, find_llm(params.selected_llm), plan_workload(params, CATALOGUE, LENGTHS)


def _apply(overrides: tuple[str, ...], params: Params, folder: Path) -> Params:
    """Return params.yaml as `-S` of all that differs leaves it."""
    chosen = [f"train.objective.name={params.train.objective.name}", "llm.name=llama-2-7b", "train.precision=bfloat16"]
    chosen.append(f"objectives.{params.train.objective.name}.micro_batch_size=8")
    return override(read_plain(ROOT / "params.yaml"), [*chosen, *overrides], "test")[1]


def test_what_changes_no_result_is_taken_first_and_only_as_far_as_needed(choose: Choose, tmp_path: Path) -> None:
    params, llm, work = _seven_billion(choose, "answer")
    advice = advise(params, llm, work, "cuda", room=19 * GIB)
    assert advice.together is not None
    [change] = advice.together
    assert change.overrides == ("objectives.answer.micro_batch_size=2",)
    assert (
        change.peak
        <= 19 * GIB
        < next(other.peak for other in advice.alone if other.overrides == ("objectives.answer.micro_batch_size=4",))
    )


def test_each_change_gives_what_the_plan_of_it_says(choose: Choose, tmp_path: Path) -> None:
    params, llm, work = _seven_billion(choose, "answer")
    advice = advise(params, llm, work, "cuda", room=19 * GIB)
    named = {change.overrides[0].split("=")[0] for change in advice.alone}
    assert named == {
        "objectives.answer.micro_batch_size",
        "train.gradient_checkpointing",
        "llms.llama-2-7b.quantization",
        "lora.rank",
    }  # neither a shorter history, which Caser couldn't read, nor bfloat16, which it is
    for change in advice.alone:
        applied = _apply(change.overrides, params, tmp_path)
        assert estimate_memory(applied, llm.shape, changed(work, params, applied), "cuda").peak == change.peak


def test_changes_are_joined_until_it_fits(choose: Choose, tmp_path: Path) -> None:
    params, llm, work = _seven_billion(choose, "answer")
    advice = advise(params, llm, work, "cuda", room=round(14.5 * GIB))
    assert advice.together is not None
    assert [change.overrides for change in advice.together] == [
        ("objectives.answer.micro_batch_size=1",),
        ("train.gradient_checkpointing=true",),
    ]
    applied = _apply(tuple(text for change in advice.together for text in change.overrides), params, tmp_path)
    peak = estimate_memory(applied, llm.shape, changed(work, params, applied), "cuda").peak
    assert peak == advice.together[-1].peak <= 14.5 * GIB


def test_layers_and_chunks_are_offered_where_an_objective_has_them(choose: Choose) -> None:
    params, llm, work = _seven_billion(choose, "stream", objectives__stream__layers=None)
    advice = advise(params, llm, work, "cuda", room=4 * GIB)
    assert advice.together is not None
    names = [change.overrides[0] for change in advice.together]
    assert names[-2:] == ["llms.llama-2-7b.quantization=nf4", "objectives.stream.layers=16"]
    offered = {change.overrides[0] for change in advice.alone}
    assert {
        "objectives.stream.layers=16",
        "objectives.stream.layers=1",
        "objectives.stream.chunk_tokens=104",
    } <= offered


def test_float32_becomes_bfloat16_as_a_pair(choose: Choose) -> None:
    params, llm, work = _seven_billion(choose, "answer", train__precision="float32")
    llms = {**params.llms, "llama-2-7b": params.selected_llm.model_copy(update={"dtype": "float32"})}
    params = params.model_copy(update={"llms": llms})
    advice = advise(params, llm, work, "cuda", room=16 * GIB)
    pair = ("llms.llama-2-7b.dtype=bfloat16", "train.precision=bfloat16")
    assert pair in {change.overrides for change in advice.alone}
    assert advice.together is not None
    assert pair in {change.overrides for change in advice.together}


def test_where_nothing_suffices_it_says_so(choose: Choose) -> None:
    params, llm, work = _seven_billion(choose, "answer")
    assert advise(params, llm, work, "cuda", room=4 * GIB).together is None


def test_a_base_model_of_4_bits_comes_last_of_what_keeps_its_layers(choose: Choose, tmp_path: Path) -> None:
    params, llm, work = _seven_billion(choose, "answer")
    advice = advise(params, llm, work, "cuda", room=12 * GIB)
    assert advice.together is not None
    assert [change.overrides for change in advice.together] == [
        ("objectives.answer.micro_batch_size=1",),
        ("train.gradient_checkpointing=true",),
        ("llms.llama-2-7b.quantization=nf4",),
    ]
    applied = _apply(tuple(text for change in advice.together for text in change.overrides), params, tmp_path)
    assert applied.selected_llm.quantization == "nf4"
    assert not [change for change in advise(applied, llm, work, "cuda", room=GIB).alone if "nf4" in str(change)]


def test_an_entry_that_says_nothing_of_4_bits_gets_the_line(choose: Choose, tmp_path: Path) -> None:
    params, llm, work = _seven_billion(choose, "answer")
    entry = params.selected_llm.model_dump(exclude={"quantization"})
    silent = params.model_copy(update={"llms": {"llama-2-7b": type(params.selected_llm).model_validate(entry)}})
    offered = [change.overrides for change in advise(silent, llm, work, "cuda", room=GIB).alone]
    assert ("+llms.llama-2-7b.quantization=nf4",) in offered
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text()
    path.write_text(text.replace("    dtype: bfloat16\n    quantization: null\n", "    dtype: bfloat16\n"))
    applied = override(read_plain(path), ["llm.name=llama-2-7b", "+llms.llama-2-7b.quantization=nf4"], "test")[1]
    assert applied.selected_llm.quantization == "nf4"
    packaged = choose("answer")
    small = find_llm(packaged.selected_llm)
    lengths = plan_workload(packaged, CATALOGUE, LENGTHS)
    assert not [change for change in advise(packaged, small, lengths, "cpu", room=1).alone if "nf4" in str(change)]


@pytest.mark.parametrize("objective", ["stream", "choice"])
def test_all_that_is_offered_saves_something(choose: Choose, objective: str) -> None:
    params, llm, work = _seven_billion(choose, objective, **{f"objectives__{objective}__layers": None})
    peak = estimate_memory(params, llm.shape, work, "cuda").peak
    advice = advise(params, llm, work, "cuda", room=GIB)
    assert advice.alone
    assert all(change.peak < peak for change in advice.alone)
