"""The largest micro-batch that fits, with an amount of free memory that the test makes up."""

import json
from pathlib import Path

import pytest

from llara_core.errors import ModelError
from llara_core.params.params import Params
from llara_core.planning import plan as plan_module
from llara_core.planning.finding import Found
from llara_core.planning.machines import Machine
from llara_core.planning.memory import GIB, MARGIN, estimate_memory
from llara_core.planning.micro_batch import is_open, largest_rows, settled, with_rows
from llara_core.planning.plan import make_plan
from llara_core.planning.shapes import Shape
from llara_core.planning.workload import Workload, plan_workload
from tests.planning.conftest import TINY, Choose


@pytest.fixture
def llm(shape: Shape) -> Found:
    return Found("tiny", shape, TINY, "here", None, 0)


def _machine(free: float, device: str = "cpu") -> Machine:
    return Machine("this machine's memory", device, 99 * GIB, round(free))


def _needed(params: Params, shape: Shape, workload: Workload, rows: int, device: str = "cpu") -> int:
    sized = with_rows(params, rows)
    return estimate_memory(sized, shape, plan_workload(sized, workload.catalogue, workload.lengths), device).peak


def _open(choose: Choose, **values: object) -> Params:
    return choose("answer", objectives__answer__micro_batch_size="auto", objectives__answer__batch_size=12, **values)


def test_the_largest_divisor_that_fits_with_the_margin_is_chosen(
    choose: Choose, llm: Found, workload: Workload
) -> None:
    params = _open(choose)
    assert is_open(params)
    for rows in (1, 2, 3, 4, 6, 12):
        exactly = MARGIN * _needed(params, llm.shape, workload, rows)
        assert largest_rows(params, llm, workload, _machine(exactly + 1), 1) == rows
        below = {1: None, 2: 1, 3: 2, 4: 3, 6: 4, 12: 6}[rows]
        assert largest_rows(params, llm, workload, _machine(exactly - 1), 1) == below
    assert largest_rows(params, llm, workload, _machine(90 * GIB), 1) == 12


def test_a_row_costs_what_its_tokens_do(choose: Choose, llm: Found, workload: Workload) -> None:
    """By hand: activations, a layer's work and logits of 10 tokens, and on a CPU half of them again."""
    params = _open(choose)
    one, two = (_needed(params, llm.shape, workload, rows) for rows in (1, 2))
    # A token: 3 layers of 72 norms, 104 attention, 240 perceptron, 4 · 8 · 7 + 4 · 36 LoRA; the final norm 36
    activations = 10 * (3 * (72 + 104 + 240 + 224 + 144) + 36) + 4 * 3 * (64 + 2 * 576 + 2 * 8)
    working, logits = 10 * (3 * 20 + 2 * 8) * 4, 12 * 3 * 50
    assert two - one == pytest.approx(1.5 * (activations + working + logits), abs=1)


def test_processes_share_main_memory_and_the_batch_but_no_gpu(choose: Choose, llm: Found, workload: Workload) -> None:
    params = _open(choose)
    for device, free in (("cpu", 2.0), ("cuda", 1.0)):
        needed = MARGIN * _needed(params, llm.shape, workload, 3, device)
        assert largest_rows(params, llm, workload, _machine(free * needed + 2, device), 2) == 3
        assert largest_rows(params, llm, workload, _machine(free * needed - 2, device), 2) == 2
    assert largest_rows(params, llm, workload, _machine(90 * GIB, "cuda"), 2) == 6
    with pytest.raises(ModelError, match=r"batch_size must be a multiple of the 5 processes, got 12"):
        largest_rows(params, llm, workload, _machine(90 * GIB), 5)


def _tiny(with_folder: Choose, **values: object) -> Params:
    return with_folder("answer", objectives__answer__micro_batch_size="auto", **values)


def test_auto_becomes_a_number_by_what_is_read(with_folder: Choose, processed: Path, tmp_path: Path) -> None:
    params = _tiny(with_folder)
    with pytest.raises(ValueError, match="must put a number in its place"):
        _ = params.selected_objective.rows
    chosen = settled(params, processed, tmp_path, _machine(90 * GIB), 1)
    assert chosen == with_rows(params, 4)
    assert not is_open(chosen)
    with pytest.raises(
        ModelError,
        match=r"answer.micro_batch_size: auto finds no size that fits: one example needs 0.79.*0.10 GiB",
    ):
        settled(params, processed, tmp_path, _machine(0.1 * GIB), 1)


def test_what_can_not_be_planned_wants_a_number(with_folder: Choose, processed: Path, tmp_path: Path) -> None:
    config = {"model_type": "gpt2", "n_embd": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    params = _tiny(with_folder)
    entry = params.selected_llm.model_copy(update={"path": tmp_path})
    strange = params.model_copy(update={"llms": {"tiny": entry}})
    with pytest.raises(ModelError, match=r"auto can't be decided, give a number: .*model_type must be one"):
        settled(strange, processed, tmp_path, _machine(GIB), 1)


@pytest.mark.parametrize(("free", "rows"), [(90 * GIB, 4), (0.01 * GIB, 1)])
def test_a_plan_says_what_auto_will_be_here(
    with_folder: Choose,
    processed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: float,
    rows: int,
) -> None:
    monkeypatch.setattr(plan_module, "this_machine", lambda: _machine(free))
    made = make_plan(_tiny(with_folder), processed, tmp_path)
    assert (made.workload.rows, made.is_auto, made.exit_code) == (rows, True, 0)
    assert made.as_json()["micro_batch_size"] == rows
    plain = make_plan(with_rows(_tiny(with_folder), rows), processed, tmp_path)
    assert not plain.is_auto
    assert plain.workload == made.workload
