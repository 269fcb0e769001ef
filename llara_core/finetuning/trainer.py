"""Hugging Face's Trainer, fed by a training plan, with checkpoints of our own."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llara_core.errors import ModelError
from llara_core.finetuning.agreeing import average_gradients, equalise
from llara_core.finetuning.learning_rate import rate_factor
from llara_core.finetuning.watch import Watch
from llara_core.objectives.objective import Objective
from llara_core.params.objectives import Recipe
from llara_core.params.sections import Train
from llara_core.runtime.checkpoints import (
    load_optimizer,
    load_trainable,
    new_checkpoint,
    save_optimizer,
    save_trainable,
)
from llara_core.runtime.compute import mixed_precision
from llara_core.runtime.division import is_divided
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.processes import n_processes
from llara_core.sequences.random_words import random_words

_WEIGHTS, _OPTIMIZER, _STATE = "trainable.safetensors", "optimizer.safetensors", "trainer_state.json"
_DROPOUT = 0x44726F70  # "Drop": a stream of random words


def training_arguments(params: Train, recipe: Recipe, n_steps: int, folder: Path, seed: int) -> TrainingArguments:
    """Translate params.yaml's `train`, and the objective's recipe, for the Trainer.

    Raises:
        ModelError: the batch can't be divided among the processes.
        ParamsError: the GPU hasn't the precision that is asked for.
    """
    per_round = recipe.rows * n_processes()
    if recipe.batch_size % per_round:
        raise ModelError(
            f"objectives.*.batch_size must be a multiple of micro_batch_size × processes {per_round}, "
            f"got {recipe.batch_size}"
        )
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=n_steps,
        per_device_train_batch_size=recipe.rows,
        gradient_accumulation_steps=recipe.batch_size // per_round,
        learning_rate=recipe.lr,
        weight_decay=params.weight_decay,
        warmup_steps=round(params.warmup * n_steps),
        max_grad_norm=params.max_grad_norm,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        save_steps=params.checkpoint_every,
        dataloader_num_workers=params.workers,
        remove_unused_columns=False,
        ddp_find_unused_parameters=True,  # text-only batches leave the projector without a gradient
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        data_seed=seed,
    )
    arguments.mixed_precision = mixed_precision("train.precision", params.precision)
    return arguments


def rows_of_checkpoint(folder: Path) -> int:
    """Return how many examples a micro-batch has in the training that wrote a checkpoint.

    Another size would give another rounding, and other masks of dropout, and so not the result of a training that was
    never interrupted.
    """
    return int(json.loads((folder / _STATE).read_text(encoding="utf-8"))["train_batch_size"])


class _StepSeeds(TrainerCallback):
    """Makes what a step draws, dropout's masks, a function of seed, step and process.

    So a resume needs no generator's state, be it of a CPU or of any process's GPU.
    """

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        torch.manual_seed(int(random_words(args.seed, _DROPOUT, state.global_step + 1, args.process_index)))


class HybridTrainer(Trainer):
    """Trains an objective's model on its plan's examples in their order."""

    optimizer: torch.optim.Optimizer

    def __init__(
        self, objective: Objective[Any], args: TrainingArguments, watch: Watch, callbacks: list[TrainerCallback]
    ) -> None:
        """Take what to train, how, who chooses among its weights, and whom else to tell.

        Raises:
            ModelError: the launcher wants the model divided among processes.
        """
        args._n_gpu = min(args.n_gpu, 1)  # nn.DataParallel can't divide the flat list of slots
        super().__init__(
            model=objective.model,
            args=args,
            train_dataset=objective.plan,
            data_collator=objective.collate,
            callbacks=[watch, *callbacks],
        )
        # Such a model is where it is to be, and not wrapped: see `_sync_replicated_trainable_parameters`.
        self.is_distributed_loading_by_transformers = is_divided()
        self.remove_callback(PrinterCallback)  # the progress bar says it
        self.add_callback(_StepSeeds())
        self._objective, self._watch = objective, watch
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self.resumed_from: int | None = None

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int = 0,
    ) -> Tensor:
        """Mean cross-entropy per answer token of the whole step, whatever its division into micro-batches."""
        # A step may have no target (of items that aren't compared); it teaches nothing, but its loss is a number.
        n_targets = max(int(num_items_in_batch), 1)
        loss = model(**inputs) / n_targets * self.accelerator.num_processes
        if not torch.isfinite(loss):
            raise ModelError(
                f"the training loss became {loss.item()} at step {self.state.global_step + 1}, learning rate "
                f"{self._get_learning_rate():.2e}; lower objectives.*.lr"
            )
        return loss

    def training_step(
        self, model: nn.Module, inputs: dict[str, Tensor], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Add a micro-batch's gradients; where the curriculum trains the projector alone, all others are forgotten."""
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if self._objective.plan.trains_projector_alone(self.state.global_step + 1):
            for weight in self._objective.beside_the_projector():
                weight.grad = None  # so that neither clipping counts it nor AdamW moves it
        if is_divided() and self.accelerator.sync_gradients:
            average_gradients([weight for weights, _ in self._objective.rates() for weight in weights])
        return loss

    def _move_model_to_device(self, model: nn.Module, device: torch.device) -> None:
        """Leave a divided model where it is."""
        if not is_divided():
            super()._move_model_to_device(model, device)

    def _sync_replicated_trainable_parameters(self, model: nn.Module) -> None:
        """Begin with the same weights everywhere, as DistributedDataParallel does, which takes no divided model.

        The Trainer would have each gradient averaged as soon as it is there: an order that differs between processes
        where one's micro-batch is text and another's has behavioural tokens.
        """
        equalise(model)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW in the objective's groups."""
        if self.optimizer is None:
            groups = [{"params": weights, "lr": rate} for weights, rate in self._objective.rates()]
            self.optimizer = torch.optim.AdamW(groups, weight_decay=self.args.weight_decay)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LambdaLR:
        """The course of all groups' learning rates; the scheduler counts the steps that are done."""
        self.lr_scheduler = LambdaLR(
            self.optimizer, lambda done: rate_factor(done + 1, self.args.warmup_steps, num_training_steps)
        )
        return self.lr_scheduler

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler:
        return SequentialSampler(self.train_dataset)

    def _save_checkpoint(self, model: nn.Module, trial: object) -> None:
        if not self.is_world_process_zero():
            return
        with new_checkpoint(Path(self.args.output_dir), self.state.global_step) as folder:
            save_trainable(self.model, folder / _WEIGHTS)
            save_optimizer(self.optimizer, folder / _OPTIMIZER)
            self._watch.save(folder)
            self.state.train_batch_size = self.args.per_device_train_batch_size  # for `rows_of_checkpoint`
            self.state.save_to_json(str(folder / _STATE))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trainable(self.model, Path(resume_from_checkpoint) / _WEIGHTS)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        load_optimizer(self.optimizer, Path(checkpoint) / _OPTIMIZER)
        self._watch.load(Path(checkpoint))
        self._restore_schedule()
        LOGGER.info("resuming from step %d of %d", self.state.global_step, self.state.max_steps)
        self.resumed_from = self.state.global_step
        self.accelerator.wait_for_everyone()  # or one could finish, and remove what another still reads

    def _restore_schedule(self) -> None:
        """Set learning rates by the step, which the Trainer has read from the checkpoint by now."""
        schedule, step = self.lr_scheduler, self.state.global_step
        rates = [base * factor(step) for base, factor in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)]
        schedule.load_state_dict({**schedule.state_dict(), "last_epoch": step, "_last_lr": rates})
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Do nothing: every step is seeded anew."""
