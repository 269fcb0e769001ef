"""Two processes that pretrain together share the batches, and agree on checkpoints."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import save_file
from torch import Tensor

from llara_core.params.params import Params
from llara_core.params.recommenders import EncoderChoice
from llara_core.recommenders import training
from llara_core.runtime.checkpoints import locked_checkpoints
from llara_core.runtime.processes import is_main_process, n_processes
from tests.recommenders.recipes import OPTIONS
from tests.recommenders.test_training import KilledError, train
from tests.two_processes.late import late

SHARED = [("sasrec", "cross_entropy"), ("gru4rec", "gbce")]


def pretrained(params: Params, folder: Path, kind: str, loss: str) -> dict[str, Tensor]:
    """Scores and item vectors that a pretraining ends with, be it of one process or several."""
    AcceleratorState._reset_state(reset_partial_state=True)
    drawn = params.pretrain.loss.model_copy(update={"name": loss, "negatives": 3})
    settings = params.pretrain.model_copy(update={"loss": drawn, "max_epochs": 4, "warmup_steps": 2})
    encoder = EncoderChoice(name=kind, **(OPTIONS[kind] | {"dropout": 0.3}))
    _, model = train(settings, folder, kind=kind, encoder=encoder, average=0.5)
    histories = torch.tensor([[1, 2, 3], [4, 5, 6], [6, 1, 2]])
    with torch.no_grad():
        scores = model.eval().next_item_scores(histories)[:, 1:].contiguous()
    return {"scores": scores, "items": model.items.weight.detach()}


@pytest.mark.parametrize(("kind", "loss"), SHARED)
def test_they_share_the_batches(params: Params, shared: Path, kind: str, loss: str) -> None:
    """What they end with is compared to one process's by test_together.py."""
    assert n_processes() == 2
    weights = pretrained(params, shared / kind, kind, loss)
    if is_main_process():
        save_file(weights, shared / f"{kind}.safetensors")


def test_no_process_removes_what_another_still_reads(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    settings = params.pretrain.model_copy(update={"max_epochs": 1})
    monkeypatch.setattr(training, "load_progress", late(training.load_progress))
    for stopped in (True, False):
        expected = pytest.raises(KilledError) if stopped else nullcontext()
        with expected, locked_checkpoints("pretrain", "done", fresh=False) as folder:
            train(settings, folder)
            if stopped:
                raise KilledError
