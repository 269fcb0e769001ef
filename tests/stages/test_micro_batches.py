"""Where finetuning has the size of its micro-batches from."""

import json
import logging
from pathlib import Path

import pytest

from llara_core.errors import ModelError
from llara_core.params.params import Params
from llara_core.planning.machines import GIB, Machine
from llara_core.planning.micro_batch import with_rows
from llara_core.runtime.checkpoints import new_checkpoint
from stages import micro_batches
from stages.micro_batches import settle_micro_batches
from tests.factories import folder_llm


@pytest.fixture
def auto(params: Params, llama_folder: Path) -> Params:
    """The default experiment's params but for the language model, with the size left open."""
    tiny = folder_llm(llama_folder)
    stream = params.objectives.stream.model_copy(update={"micro_batch_size": "auto", "layers": 2})
    changes = {
        "llms": {**params.llms, "tiny": tiny},
        "llm": params.llm.model_copy(update={"name": "tiny"}),
        "objectives": params.objectives.model_copy(update={"stream": stream}),
    }
    return params.model_copy(update=changes)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where no data is: counts are the published ones then."""
    monkeypatch.chdir(tmp_path)


def _free(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    machine = Machine("this machine's memory", "cpu", 64 * GIB, round(gib * GIB))
    monkeypatch.setattr(micro_batches, "this_machine", lambda: machine)


def test_a_number_stays(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro_batches, "this_machine", lambda: pytest.fail("looked"))
    assert settle_micro_batches(params, tmp_path) is params


def test_auto_is_what_fits_and_is_logged(
    auto: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _free(monkeypatch, 32)
    with caplog.at_level(logging.INFO, "llara"):
        assert settle_micro_batches(auto, tmp_path) == with_rows(auto, 16)
    assert "micro-batches of 16 examples, the most that fit into what is free" in caplog.text
    _free(monkeypatch, 0.5)
    with pytest.raises(ModelError, match="objectives.stream.micro_batch_size: auto finds no size that fits"):
        settle_micro_batches(auto, tmp_path)


def test_who_resumes_takes_the_size_that_was_begun_with(
    auto: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With another one the result would be another, by rounding."""
    _free(monkeypatch, 32)
    with new_checkpoint(tmp_path / "run", 4) as folder:
        (folder / "trainer_state.json").write_text(json.dumps({"train_batch_size": 2}))
    with caplog.at_level(logging.INFO, "llara"):
        assert settle_micro_batches(auto, tmp_path / "run") == with_rows(auto, 2)
    assert "micro-batches of 2 examples, as the checkpoint was begun" in caplog.text
