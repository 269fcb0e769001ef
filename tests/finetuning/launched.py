"""What each process does that a launcher starts: it trains, resumes, and fails in the end if it is the second one."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, TrainerCallback

from llara_core.errors import ModelError
from llara_core.finetuning.trainer import HybridTrainer
from llara_core.hybrid.division import divide_frozen
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.zero3 import is_partitioned
from llara_core.runtime.checkpoints import agreed_checkpoint, latest_checkpoint, locked_checkpoints
from llara_core.runtime.division import division
from llara_core.runtime.processes import process_index
from stages.command import run
from tests.factories import make_curriculum
from tests.finetuning.runs import How, StopAt, make_model, make_plan, make_recipe, make_trainer, measured, trained

CURRICULA = {  # one with text for one process and behavioural tokens for the other, one that forgets gradients
    "mixed": make_curriculum("linear", drawn_per="example"),
    "stages": make_curriculum("two_stage", text=1 / 3, projector=1 / 3),
}


def train(
    name: str, tokenizer: PreTrainedTokenizerBase, model: HybridCausalLM, folder: Path
) -> tuple[HybridTrainer, list[list[int]]]:
    """Train on one of the curricula; also returns the prompts that this process has read."""
    how = make_recipe(
        lr=0.02, projector_lr=0.005, weight_decay=0.1, max_grad_norm=1.75, micro_batch_size=1, checkpoint_every=2
    )
    seen: list[list[int]] = []
    model.register_forward_pre_hook(lambda _, __, inputs: seen.extend(inputs["input_ids"].tolist()), with_kwargs=True)
    trainer = make_trainer(model, make_plan(tokenizer, curriculum=CURRICULA[name]), how, folder)
    trainer.train()
    return trainer, seen


def logs_of(trainer: HybridTrainer) -> list[list[float]]:
    """Loss and gradient norm of each step."""
    return [[entry["loss"], entry["grad_norm"]] for entry in trainer.state.log_history if "loss" in entry]


class _Fail(TrainerCallback):
    """Ends the second process within a step in which the first one waits for it."""

    def __init__(self, note: Path) -> None:
        self._note = note

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: object) -> None:
        if state.global_step == 3 and process_index() == 1:
            self._note.write_text(str(time.time()))
            raise ModelError("the second process can't go on")


def _launched(folder: Path, llama: Path) -> None:
    tokenizer, rank = AutoTokenizer.from_pretrained(llama), process_index()
    found: dict[str, Any] = {}
    for name in CURRICULA:
        model = _make_model(tokenizer)
        found["weights"] = [_own(weight) for weight in model.parameters() if not weight.requires_grad]
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data += rank  # a start of its own, as rounding may give it: the main process's counts
        trainer, seen = train(name, tokenizer, model, folder / f"{name}-{rank}")
        assert trainer.accelerator.num_processes == 2
        found[name] = {"logs": logs_of(trainer), "seen": seen}
        save_file(trained(model), folder / f"{name}-{rank}.safetensors")
    found["resumed"] = _resumed(tokenizer, folder)
    (folder / f"found-{rank}.json").write_text(json.dumps(found))
    how = make_recipe(micro_batch_size=1)
    failing = make_trainer(_make_model(tokenizer), make_plan(tokenizer), how, folder, _Fail(folder / "failed"))
    failing.train()


def _resumed(tokenizer: PreTrainedTokenizerBase, folder: Path) -> bool:
    """Whether a training that is killed while the model is copied, and goes on as launched, is an uninterrupted one."""
    how: How = make_recipe(
        micro_batch_size=1, checkpoint_every=2, lr=0.02, average=0.9, validation=measured(3, 9), precision="bfloat16"
    )
    plan, rank = make_plan(tokenizer), process_index()
    whole = _make_model(tokenizer, dropout=0.3)
    trainer = make_trainer(whole, plan, how, folder / f"whole-{rank}")
    trainer.train()
    seeds = trainer.accelerator.gather(torch.tensor([torch.initial_seed() % 2**31]))
    assert len(set(seeds.tolist())) == 2  # each process draws masks of its own
    with (
        suppress(KeyboardInterrupt),
        mock.patch.dict(os.environ),
        locked_checkpoints("finetune", "cut", fresh=True) as checkpoints,
    ):
        os.environ.pop("LLARA_DIVIDED", None)
        make_trainer(make_model(len(tokenizer), dropout=0.3), plan, how, checkpoints, StopAt(3)).train()
    torch.manual_seed(rank)  # new processes have other random states
    resumed = _make_model(tokenizer, dropout=0.3)
    with locked_checkpoints("finetune", "cut", fresh=False) as checkpoints:
        trainer = make_trainer(resumed, plan, how, checkpoints)
        checkpoint = agreed_checkpoint(checkpoints)
        trainer.train(resume_from_checkpoint=str(checkpoint))
        assert trainer.resumed_from == 2
        assert rank or latest_checkpoint(checkpoints) == checkpoints / "step-6"
    return all(torch.equal(trained(resumed)[name], weight) for name, weight in trained(whole).items())


def _make_model(tokenizer: PreTrainedTokenizerBase, dropout: float = 0.0) -> HybridCausalLM:
    """The model as `tune` would have it."""
    model = make_model(len(tokenizer), dropout)
    if by := division():
        divide_frozen(model.llm, torch.device("cpu"), by)
    return model


def _own(weight: torch.Tensor) -> tuple[int, int]:
    """How many numbers of a weight this process has, and how many it has in all."""
    if is_partitioned(weight):
        return weight.numel() + weight.ds_tensor.numel(), weight.ds_numel
    return (weight.to_local() if isinstance(weight, DTensor) else weight).numel(), weight.numel()


if __name__ == "__main__":
    run(_launched)
