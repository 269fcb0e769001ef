"""Run by pytest in each of two processes that train together; not collected by itself."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from llara_core.finetuning.plan import TrainingPlan
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.runtime.checkpoints import agreed_checkpoint, locked_checkpoints
from tests.finetuning.test_trainer import _model, _StopAt, _trainer, _weights


def test_a_resumed_training_with_dropout_is_the_uninterrupted_one(
    params: Params,
    plan: TrainingPlan,
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
        trainer = _trainer(resumed, plan, recipe, folder, encoder)
        checkpoint = agreed_checkpoint(folder)
        assert checkpoint == folder / "step-2"
        trainer.train(resume_from_checkpoint=str(checkpoint))
    for name, expected in _weights(whole).items():
        assert torch.equal(_weights(resumed)[name], expected), name
