"""Where finetuning has the size of its micro-batches from."""

import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest

from llara_core.errors import ModelError
from llara_core.hybrid import base_llm
from llara_core.params.params import Params
from llara_core.params.sections import HubLlm
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


def test_what_can_not_be_loaded_is_refused_before_weights_are_fetched(
    auto: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_llm, "_hub_snapshot", lambda _: pytest.fail("downloaded"))
    fields = {"source": "huggingface", "id": "some/llama", "revision": "a" * 40, "dtype": "float32"}
    entry = HubLlm.model_validate({**fields, "attention": "flash_attention_2"})
    params = auto.model_copy(update={"llms": {"tiny": entry}})
    with pytest.raises(ModelError, match="flash_attention_2 needs weights of bfloat16"):
        settle_micro_batches(params, tmp_path)


def _pretend_two(monkeypatch: pytest.MonkeyPatch, smallest: int) -> list[timedelta]:
    """Be the first of two processes, of which one finds `smallest`; returns how long they wait for each other."""
    patiences: list[timedelta] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("accelerate.PartialState", lambda *, timeout, **_: patiences.append(timeout))
    monkeypatch.setattr(micro_batches, "agreed_checkpoint", lambda _: None)
    monkeypatch.setattr(micro_batches, "smallest_of_all", lambda number: min(number, smallest))
    return patiences


def test_processes_take_the_smallest_and_wait_no_longer_than_a_tuning_does(
    auto: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who meets first says how long all that follows waits: half an hour (docs/launching.md)."""
    _free(monkeypatch, 32)
    patiences = _pretend_two(monkeypatch, 4)
    assert settle_micro_batches(auto, tmp_path) == with_rows(auto, 4)
    assert patiences == [timedelta(minutes=30)]
    patiences = _pretend_two(monkeypatch, 16)
    assert settle_micro_batches(auto, tmp_path) == with_rows(auto, 8)


def test_processes_that_divide_the_model_count_their_part_of_it(
    auto: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Llama-2-7B takes more than 15 GiB of one GPU, and 3.3 GiB of its 12.55 of each of four."""
    answer = auto.objectives.answer.model_copy(update={"micro_batch_size": "auto"})
    changes = {
        "llms": {"tiny": auto.llms["llama-2-7b"]},
        "objectives": auto.objectives.model_copy(update={"answer": answer}),
        "train": auto.train.model_copy(
            update={
                "objective": auto.train.objective.model_copy(update={"name": "answer"}),
                "precision": "bfloat16",
                "gradient_checkpointing": True,
            }
        ),
    }
    params = auto.model_copy(update=changes)
    machine = Machine("a GPU", "cuda", 12 * GIB, round(11.5 * GIB))
    monkeypatch.setattr(micro_batches, "this_machine", lambda: machine)
    monkeypatch.setattr(micro_batches, "load_tokenizer", lambda _: None)
    _pretend_two(monkeypatch, 4)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ModelError, match="finds no size that fits: one example needs"):
        settle_micro_batches(params, tmp_path)
    monkeypatch.setenv("LLARA_DIVIDED", "true")
    assert settle_micro_batches(params, tmp_path) == with_rows(params, 4)
