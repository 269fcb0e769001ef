"""Choosing among the weights of a training: their moving average, measured on validation now and then."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llara_core.errors import ModelError
from llara_core.runtime.logs import LOGGER

_AVERAGE, _BEST, _SCORES = "average.safetensors", "best.safetensors", "watch.json"


@dataclass(frozen=True)
class WatchSettings:
    """How to watch.

    Attributes:
        name: of what is measured; higher is better.
        times: measurements in a training, evenly spread, the last one at its end.
        patience: measurements without improvement that end the training.
        average: decay per step of the moving average of weights; 0: the weights themselves.
        first_step: nothing is measured before it.
    """

    name: str
    times: int
    patience: int
    average: float
    first_step: int = 1


class Watch(TrainerCallback):
    """Averages what is trained, measures the average, and keeps the best."""

    def __init__(self, model: nn.Module, validate: Callable[[], float], settings: WatchSettings) -> None:
        """Watch the trainable weights of `model`, which `validate` measures."""
        self.settings = settings
        self._validate = validate
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._average = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._best: dict[str, Tensor] = {}
        self.scores: dict[int, float] = {}
        """By step."""

    @property
    def best_step(self) -> int:
        """The first step of the highest score."""
        return max(self.scores, key=lambda step: self.scores[step])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Average, and where it is time measure; training ends after `patience` measurements without improvement.

        Raises:
            ModelError: what is measured isn't a finite number.
        """
        step, n_steps, times = state.global_step, state.max_steps, self.settings.times
        self._update(step)
        if step < self.settings.first_step or step * times // n_steps == (step - 1) * times // n_steps:
            return
        # One process's word counts: rounding must not make two of them stop at different steps.
        (score,) = broadcast_object_list([self._measure()])
        if not math.isfinite(score):
            raise ModelError(
                f"validation {self.settings.name} became {score} at step {step}; lower objectives.*.lr or projector_lr"
            )
        self.scores[step] = score
        if self.best_step == step:
            self._best = {name: weight.clone() for name, weight in self._average.items()}
        waited = len([measured for measured in self.scores if measured > self.best_step])
        if waited >= self.settings.patience and step < n_steps:
            control.should_training_stop = True
            control.should_save = False  # going on from here, the Trainer would take a step before it asks again

    def restore_best(self) -> None:
        """Leave the best weights in the model."""
        _copy(self._best, self._weights)
        LOGGER.info(
            "weights of step %d: validation %s %.4f", self.best_step, self.settings.name, max(self.scores.values())
        )

    def save(self, folder: Path) -> None:
        """Write what `load` reads."""
        save_file(_on_cpu(self._average), folder / _AVERAGE)
        save_file(_on_cpu(self._best), folder / _BEST)
        (folder / _SCORES).write_text(json.dumps(list(self.scores.items())))

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint."""
        _copy(load_file(folder / _AVERAGE), self._average)
        self._best = {name: weight.to(self._average[name]) for name, weight in load_file(folder / _BEST).items()}
        self.scores = dict(json.loads((folder / _SCORES).read_text()))

    @torch.no_grad()
    def _update(self, step: int) -> None:
        # With a shorter memory at first, to forget the beginning.
        kept = min(self.settings.average, step / (9 + step))
        torch._foreach_lerp_(list(self._average.values()), _detached(self._weights.values()), 1 - kept)

    def _measure(self) -> float:
        trained = {name: weight.detach().clone() for name, weight in self._weights.items()}
        _copy(self._average, self._weights)
        score = self._validate()
        _copy(trained, self._weights)
        return score


def _detached(weights: Iterable[Tensor]) -> list[Tensor]:
    return [weight.detach() for weight in weights]


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, weight in target.items():
        weight.copy_(source[name])


def _on_cpu(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
