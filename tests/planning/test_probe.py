"""A probe's rate on a model of two layers, and its depth where not all layers fit."""

from pathlib import Path

import pytest

from llara_core.errors import ModelError
from llara_core.planning import probe as module
from llara_core.planning.counting import count_workload
from llara_core.planning.finding import find_llm
from llara_core.planning.memory import GIB
from llara_core.planning.probe import probe
from tests.planning.conftest import Choose


@pytest.mark.parametrize("objective", ["stream", "answer"])
def test_a_random_model_of_the_shape_is_trained(with_folder: Choose, processed: Path, objective: str) -> None:
    params = with_folder(objective, train__gradient_checkpointing=objective == "answer")
    llm = find_llm(params.selected_llm)
    probed = probe(params, llm, count_workload(params, llm, processed), free=8 * GIB, micro_batches=1)
    assert (probed.layers, probed.micro_batches) == (2, 1)
    assert 10 < probed.rate < 1e7


def test_layers_that_do_not_fit_are_taken_to_cost_as_much(
    choose: Choose, processed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = choose("answer", llm__name="llama-2-7b", train__gradient_checkpointing=True)
    llm = find_llm(params.selected_llm)
    work = count_workload(params, llm, processed)
    monkeypatch.setattr(module, "_seconds", lambda *arguments: 2.0 + 0.5 * arguments[3])  # by layers
    probed = probe(params, llm, work, free=20 * GIB)
    assert 2 <= probed.layers < 32
    assert probed.rate == pytest.approx(work.rows * round(work.lengths.padded) / (2 + 0.5 * 32))


def test_a_model_too_large_for_a_probe_is_refused(choose: Choose, processed: Path) -> None:
    params = choose("answer", llm__name="llama-2-7b")
    llm = find_llm(params.selected_llm)
    with pytest.raises(
        ModelError, match=r"--probe: 2 layers of meta-llama.* must fit into half .*1.0 GiB, got .*--rate"
    ):
        probe(params, llm, count_workload(params, llm, processed), free=2 * GIB)
