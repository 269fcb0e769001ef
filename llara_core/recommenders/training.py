"""Pretraining a recommender: about equal batches of windows, the best epoch chosen on validation, resumable."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin, broadcast_object_list
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from llara_core.errors import ModelError
from llara_core.params.recommenders import Pretrain, Recommender
from llara_core.recommenders.dropout import share_rows
from llara_core.recommenders.losses.objective import Objective
from llara_core.recommenders.model import SequentialRecommender
from llara_core.recommenders.progress import Progress, load_progress, save_progress
from llara_core.recommenders.windows import TrainingSequences, epoch_batches, look_ahead
from llara_core.runtime.checkpoints import agreed_checkpoint, latest_checkpoint
from llara_core.runtime.compute import mixed_precision
from llara_core.runtime.logs import LOGGER
from llara_core.tables.items import PADDING_ID


@dataclass(frozen=True)
class Recipe:
    """All that decides how training goes, beside the data."""

    recommender: Recommender
    pretrain: Pretrain
    seed: int


def train_recommender(
    objective: Objective,
    sequences: TrainingSequences,
    validate: Callable[[SequentialRecommender], float],
    recipe: Recipe,
    checkpoints: Path,
) -> Progress:
    """Train the objective's model in place and leave the weights of the epoch with the highest `validate(model)`.

    Every random choice is a function of the seed and of epoch or step, so training that goes on from a checkpoint, or
    is shared among processes, is the same training.

    Args:
        objective: loss and freshly initialised model.
        sequences: what to train on.
        validate: NDCG@10 on validation, to be maximised; called once an epoch with the averaged weights.
        recipe: the parameters; training ends after `patience` epochs without improvement or `max_epochs` in all.
        checkpoints: this experiment's folder; training goes on from what it holds.

    Returns:
        the curve, and the time that it took.

    Raises:
        ModelError: the loss or its gradient is not finite; the last checkpoint stays.
    """
    training = _Training(objective, sequences, recipe, checkpoints)
    training.run(validate)
    return training.progress


def _moving_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """How to update averages by the weights after step n: with a shorter memory at first, to forget the beginning."""

    @torch.no_grad()
    def update(averages: Sequence[Tensor], weights: Sequence[Tensor], n_averaged: Tensor | int) -> None:
        kept = min(decay, (1 + int(n_averaged)) / (10 + int(n_averaged)))
        torch._foreach_lerp_(list(averages), list(weights), 1 - kept)

    return update


class _Training:
    def __init__(self, objective: Objective, sequences: TrainingSequences, recipe: Recipe, folder: Path) -> None:
        self.accelerator = Accelerator(
            mixed_precision=mixed_precision("pretrain.precision", recipe.pretrain.precision),
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),  # or else the launcher's number
            cpu=not torch.cuda.is_available(),
        )
        self.model = objective.model.to(self.accelerator.device)
        if recipe.pretrain.compile:
            self.model.encoder.compile(dynamic=True)
        own = recipe.recommender
        self.average = AveragedModel(self.model, multi_avg_fn=_moving_average(own.average))
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=own.lr, weight_decay=own.weight_decay, fused=True)
        self.draw = objective.draw
        self.objective, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self.sequences, self.recipe, self.folder = sequences, recipe, folder
        self.best: dict[str, Tensor] = {}
        self.progress = Progress()
        if checkpoint := agreed_checkpoint(folder):
            self.progress, self.best = load_progress(checkpoint, self.model, self.average, self.optimizer)
            LOGGER.info("resuming in epoch %d after step %d", self.progress.epoch, self.progress.step)
            self.accelerator.wait_for_everyone()  # or one could finish, and remove what another still reads

    def run(self, validate: Callable[[SequentialRecommender], float]) -> None:
        hidden = not self.accelerator.is_main_process
        with tqdm(initial=self.progress.step, desc="pretrain", unit="step", disable=hidden) as bar:
            while not self.progress.has_ended(self.recipe.pretrain):
                self._train_epoch(bar)
                self._end_epoch(validate)
        self.model.load_state_dict(self.best)

    def _train_epoch(self, bar: tqdm) -> None:
        own, progress = self.recipe.recommender, self.progress
        batches = epoch_batches(
            self.sequences,
            own.window,
            own.overlap,
            own.batch_positions,
            self.recipe.seed,
            progress.epoch,
            skip=progress.batch,
        )
        self.objective.train()
        started = time.perf_counter()
        for inputs, targets, n_batches in batches:
            loss = self._step(inputs, targets)
            progress.add_step(loss, int((targets != PADDING_ID).sum()))
            bar.total = n_batches * self.recipe.pretrain.max_epochs  # at most
            bar.set_postfix(progress.summary(), refresh=False)
            bar.update()
            within = progress.batch < n_batches
            if within and progress.step % self.recipe.pretrain.checkpoint_every == 0:
                started = self._clock(started)
                self._save()
        self._clock(started)

    def _clock(self, started: float) -> float:
        now = time.perf_counter()
        self.progress.training_seconds += now - started
        return now

    def _step(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Take one optimiser step on the whole batch and return its summed loss."""
        rate = self._set_learning_rate()
        step, seed, ahead = self.progress.step + 1, self.recipe.seed, self.recipe.recommender.ahead
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        # Functions of the step alone, so that a resumed training needs no generator's state and processes agree.
        generator = np.random.default_rng([seed, step, 1])
        torch.manual_seed(int(np.random.SeedSequence([seed, step, 2]).generate_state(1)[0]))
        share_rows(self.model, rank, world, len(inputs))
        targets = look_ahead(targets, ahead.share, ahead.reach, generator)
        negatives = self.draw(targets, generator)
        loss = self.objective(*self._own_share(inputs, targets, negatives))
        # Processes average their gradients, which makes up for the factor.
        mean = loss * (world / (targets != PADDING_ID).sum())
        self.optimizer.zero_grad()
        self.accelerator.backward(mean)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.pretrain.max_grad_norm)
        total = float(self.accelerator.reduce(loss.detach(), "sum"))
        if not (np.isfinite(total) and torch.isfinite(norm)):
            raise ModelError(self._not_finite(total, float(norm), step, rate))
        self.optimizer.step()
        self.average.update_parameters(self.model)
        return total

    def _set_learning_rate(self) -> float:
        warmup = self.recipe.pretrain.warmup_steps
        rate = self.recipe.recommender.lr * min(1.0, (self.progress.step + 1) / max(warmup, 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _own_share(self, inputs: np.ndarray, targets: np.ndarray, negatives: np.ndarray | None) -> list[Tensor | None]:
        """Every n-th row of the batch, for this one of n processes; without rows left, one that has no target."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        if rank >= len(inputs):
            inputs, targets = inputs[:1], np.zeros_like(targets[:1])
            negatives = negatives[:1] if negatives is not None and negatives.ndim > 1 else negatives
        else:
            inputs, targets = inputs[rank::world], targets[rank::world]
            negatives = negatives[rank::world] if negatives is not None and negatives.ndim > 1 else negatives
        device = self.accelerator.device
        return [None if part is None else torch.from_numpy(part).to(device) for part in (inputs, targets, negatives)]

    def _not_finite(self, loss: float, norm: float, step: int, rate: float) -> str:
        what = f"the pretraining loss became {loss}" if not np.isfinite(loss) else f"the gradient's norm became {norm}"
        kept = latest_checkpoint(self.folder)
        where = f"; {kept} is the last good checkpoint" if kept else ""
        return f"{what} at step {step}, learning rate {rate:.2e}; lower recommenders.*.lr{where}"

    def _end_epoch(self, validate: Callable[[SequentialRecommender], float]) -> None:
        started = time.perf_counter()
        averaged = cast("SequentialRecommender", self.average.module.eval())
        # One process's word counts: rounding must not make two of them stop at different epochs.
        (quality,) = broadcast_object_list([validate(averaged)])
        self.progress.validation_seconds += time.perf_counter() - started
        rate = self.optimizer.param_groups[0]["lr"]
        if self.progress.end_epoch(quality, rate):
            self.best = {name: tensor.detach().clone() for name, tensor in averaged.state_dict().items()}
        self._save()

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            save_progress(self.folder, self.progress, self.model, self.average, self.best, self.optimizer)
