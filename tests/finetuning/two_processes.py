"""Run by pytest in each of two processes that train together; not collected by itself."""

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import LlamaForCausalLM

from llara_core.finetuning import trainer
from llara_core.objectives.prompt_plan import PromptPlan
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.recommenders import training
from llara_core.runtime.checkpoints import agreed_checkpoint, locked_checkpoints
from tests.finetuning.test_trainer import _model, _StopAt, _trainer, _weights
from tests.recommenders.test_training import KilledError, train


def test_a_resumed_training_with_dropout_is_the_uninterrupted_one(
    params: Params,
    plan: PromptPlan,
    encoder: PromptEncoder,
    item_embeddings: np.ndarray,
    llama: LlamaForCausalLM,
) -> None:
    recipe = params.train.model_copy(update={"batch_size": 4, "micro_batch_size": 1, "checkpoint_every": 2, "lr": 0.02})
    size, shared = llama.config.vocab_size, Path(os.environ["LLARA_CHECKPOINT_DIR"])
    whole = _model(size, item_embeddings, dropout=0.3)
    straight = _trainer(whole, plan, recipe, shared / "whole", encoder)
    straight.train()
    seeds = straight.accelerator.gather(torch.tensor([torch.initial_seed() % 2**31]))
    assert len(set(seeds.tolist())) == 2  # each process draws masks of its own
    with pytest.raises(KeyboardInterrupt), locked_checkpoints("finetune", "cut", fresh=True) as folder:
        _trainer(_model(size, item_embeddings, dropout=0.3), plan, recipe, folder, encoder, _StopAt(3)).train()
    torch.manual_seed(int(os.environ["RANK"]))  # new processes have other random states
    resumed = _model(size, item_embeddings, dropout=0.3)
    with locked_checkpoints("finetune", "cut", fresh=False) as folder:
        tuning = _trainer(resumed, plan, recipe, folder, encoder)
        checkpoint = agreed_checkpoint(folder)
        assert checkpoint == folder / "step-2"
        tuning.train(resume_from_checkpoint=str(checkpoint))
    for name, expected in _weights(whole).items():
        assert torch.equal(_weights(resumed)[name], expected), name


def _late(load: Callable[..., Any]) -> Callable[..., Any]:
    """Read a checkpoint in the second process when the first may have finished."""

    def wait_and_load(*arguments: object) -> object:
        time.sleep(float(os.environ["RANK"]))
        return load(*arguments)

    return wait_and_load


def test_no_process_removes_what_another_still_reads(
    params: Params,
    plan: PromptPlan,
    encoder: PromptEncoder,
    item_embeddings: np.ndarray,
    llama: LlamaForCausalLM,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was stopped after its last step has no step left in which processes would wait for each other."""
    recipe = params.train.model_copy(update={"batch_size": 4, "micro_batch_size": 2, "checkpoint_every": 99})
    monkeypatch.setattr(trainer, "load_optimizer", _late(trainer.load_optimizer))
    for stopped in (True, False):
        expected = pytest.raises(KilledError) if stopped else nullcontext()
        with expected, locked_checkpoints("finetune", "done", fresh=False) as folder:
            tuning = _trainer(_model(llama.config.vocab_size, item_embeddings), plan, recipe, folder, encoder)
            checkpoint = agreed_checkpoint(folder)
            tuning.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            assert tuning.resumed_from == (None if stopped else 6)
            if stopped:
                raise KilledError


def test_no_process_removes_what_another_still_reads_in_pretraining(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    settings = params.pretrain.model_copy(update={"max_epochs": 1})
    monkeypatch.setattr(training, "load_progress", _late(training.load_progress))
    for stopped in (True, False):
        expected = pytest.raises(KilledError) if stopped else nullcontext()
        with expected, locked_checkpoints("pretrain", "done", fresh=False) as folder:
            train(settings, folder)
            if stopped:
                raise KilledError
