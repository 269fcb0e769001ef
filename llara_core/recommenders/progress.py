"""Where a pretraining stands: what its curve, its progress bar and its checkpoints hold."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from llara_core.errors import ModelError
from llara_core.params.recommenders import Pretrain
from llara_core.runtime.checkpoints import (
    load_optimizer,
    load_trainable,
    new_checkpoint,
    save_optimizer,
    save_trainable,
)

_MODEL, _AVERAGE, _BEST = "model.safetensors", "average.safetensors", "best.safetensors"
_OPTIMIZER, _STATE = "optimizer.safetensors", "progress.json"


@dataclass(frozen=True)
class Epoch:
    """One epoch of the curve: steps so far, mean training loss (nats per position), NDCG@10 on validation."""

    epoch: int
    step: int
    learning_rate: float
    loss: float
    validation_ndcg_at_10: float


@dataclass
class Progress:
    """Counters of a training in epoch `epoch`, of which `batch` batches are done.

    `loss` and `positions` are the epoch's sums; seconds to the best epoch count training alone.
    """

    epoch: int = 1
    batch: int = 0
    step: int = 0
    loss: float = 0.0
    positions: int = 0
    curve: list[Epoch] = field(default_factory=list)
    training_seconds: float = 0.0
    validation_seconds: float = 0.0
    seconds_to_best: float = 0.0

    @property
    def best(self) -> Epoch | None:
        """The first epoch of the highest validation NDCG@10."""
        return max(self.curve, key=lambda epoch: epoch.validation_ndcg_at_10, default=None)

    def has_ended(self, params: Pretrain) -> bool:
        """Whether `max_epochs` are done, or `patience` of them without improvement."""
        waited = self.curve[-1].epoch - self.best.epoch if self.best else 0
        return self.epoch > params.max_epochs or waited >= params.patience

    def add_step(self, loss: float, positions: int) -> None:
        """Count an optimiser step with this summed loss over so many positions."""
        self.batch += 1
        self.step += 1
        self.loss += loss
        self.positions += positions

    def end_epoch(self, validation_ndcg_at_10: float, learning_rate: float) -> bool:
        """Append to the curve and turn to the next epoch; returns whether this one was the best so far."""
        before = self.best
        mean = self.loss / self.positions
        self.curve.append(Epoch(self.epoch, self.step, learning_rate, mean, validation_ndcg_at_10))
        self.epoch += 1
        self.batch, self.loss, self.positions = 0, 0.0, 0
        improved = before is None or validation_ndcg_at_10 > before.validation_ndcg_at_10
        if improved:
            self.seconds_to_best = self.training_seconds
        return improved

    def summary(self) -> dict[str, str]:
        """What the progress bar says."""
        shown = {"epoch": str(self.epoch), "loss": f"{self.loss / max(self.positions, 1):.3f}"}
        if self.best:
            shown["ndcg"] = f"{self.curve[-1].validation_ndcg_at_10:.4f}"
            shown["best"] = f"{self.best.validation_ndcg_at_10:.4f} ({self.best.epoch})"
        return shown


def save_progress(
    folder: Path,
    progress: Progress,
    model: nn.Module,
    average: AveragedModel,
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint that `load_progress` reads; earlier ones vanish once it is whole."""
    with new_checkpoint(folder, progress.step) as path:
        save_trainable(model, path / _MODEL)
        save_trainable(average.module, path / _AVERAGE)
        save_file(best, path / _BEST)
        save_optimizer(optimizer, path / _OPTIMIZER)
        (path / _STATE).write_text(json.dumps(asdict(progress)))


def load_progress(
    checkpoint: Path, model: nn.Module, average: AveragedModel, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]]:
    """Restore weights and optimiser in place, and return the counters and the weights of the best epoch.

    Raises:
        ModelError: the checkpoint is broken or of another model.
    """
    try:
        load_trainable(model, checkpoint / _MODEL)
        load_trainable(average.module, checkpoint / _AVERAGE)
        load_optimizer(optimizer, checkpoint / _OPTIMIZER)
        stored = json.loads((checkpoint / _STATE).read_text())
        progress = Progress(**{**stored, "curve": [Epoch(**epoch) for epoch in stored["curve"]]})
        best = load_file(checkpoint / _BEST)
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise ModelError(f"{checkpoint}: not a readable checkpoint ({error}); remove its folder") from error
    average.n_averaged.fill_(progress.step)
    return progress, best
