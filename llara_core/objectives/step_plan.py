"""What optimiser steps are made of: which examples each has, and in which mode, as a pure function of the step.

A plan is a map-style dataset that is read in order. Since element i depends on i and the seed alone, training is the
same for any number of loader workers, processes and resumes, and for any micro-batch size. A step is drawn as a whole,
which is quick, by each worker that needs any of it; an example is tokenised only where it is read.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from torch.utils.data import Dataset

from llara_core.objectives.curriculum import hybrid_examples, hybrid_probability, trains_projector_alone
from llara_core.params.curriculum import Curriculum
from llara_core.params.objectives import Recipe
from llara_core.params.params import Params
from llara_core.prompting.segments import Mode, latest_mode
from llara_core.sequences.random_words import random_permutation

Drawn = TypeVar("Drawn")
Example = TypeVar("Example")
_SHUFFLE = 0x53687566  # "Shuf": a stream of random words


@dataclass(frozen=True)
class StepSettings:
    """What every plan depends on besides the data.

    Attributes:
        seed: of the experiment.
        curriculum: when steps have behavioural tokens.
        shown: how steps with behavioural tokens show items, `hybrid` or `id`.
        n_steps: optimiser steps.
        batch_size: examples per optimiser step.
    """

    seed: int
    curriculum: Curriculum
    shown: Mode
    n_steps: int
    batch_size: int


def step_settings(params: Params, recipe: Recipe) -> StepSettings:
    """Translate params.yaml's curriculum and an objective's recipe."""
    n_examples = params.curriculum.epochs * recipe.examples_per_epoch
    n_steps = math.ceil(n_examples / recipe.batch_size)
    return StepSettings(params.seed, params.curriculum, params.prompt.mode, n_steps, recipe.batch_size)


class Planned(NamedTuple, Generic[Drawn]):
    """What an example is made from, and how it shows its items."""

    drawn: Drawn
    mode: Mode


class StepPlan(Dataset[Example], ABC, Generic[Drawn, Example]):
    """n_steps × batch_size examples, the shortest of a step first to save padding."""

    def __init__(self, n_examples: int, settings: StepSettings) -> None:
        """Plan over `n_examples`, each used once before any is used again."""
        self._n_examples = n_examples
        self.settings = settings
        self._step = lru_cache(maxsize=2)(self._draw_step)
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def __len__(self) -> int:
        """Return the number of planned examples."""
        return self.settings.n_steps * self.settings.batch_size

    def __getitem__(self, index: int) -> Example:
        """Return planned example `index`."""
        return self._encode(*self._planned(index), index // self.settings.batch_size + 1)

    def drawn(self, index: int) -> Drawn:
        """Return what planned example `index` is made from."""
        return self._planned(index).drawn

    def modes_of(self, step: int) -> list[Mode]:
        """[B] how the examples of step 1..n_steps show their items, in the order of drawing."""
        settings = self.settings
        hybrid = hybrid_examples(settings.curriculum, step, settings.n_steps, settings.batch_size, settings.seed)
        return [settings.shown if is_hybrid else "text" for is_hybrid in hybrid]

    def hybrid_probability(self, step: int) -> float:
        """Probability that an example of step 1..n_steps has behavioural tokens."""
        return hybrid_probability(self.settings.curriculum, step, self.settings.n_steps)

    def trains_projector_alone(self, step: int) -> bool:
        """Whether all weights but the projector's stay as they are in step 1..n_steps."""
        return trains_projector_alone(self.settings.curriculum, step, self.settings.n_steps)

    @cached_property
    def modes(self) -> list[Mode]:
        """The modes that any example has."""
        return self.modes_until(self.settings.n_steps)

    def modes_until(self, step: int) -> list[Mode]:
        """The modes of the examples of steps 1 to `step`."""
        return sorted({mode for earlier in range(1, step + 1) for mode in self.modes_of(earlier)})

    @property
    def last_mode(self) -> Mode:
        """The mode towards which training goes: with behavioural tokens, if any example has them."""
        return latest_mode(self.modes)

    def _planned(self, index: int) -> Planned[Drawn]:
        step, place = divmod(index, self.settings.batch_size)
        return self._step(step + 1)[place]

    def _shuffle(self, epoch: int) -> np.ndarray:
        return random_permutation(self.settings.seed, _SHUFFLE + epoch, self._n_examples)

    def _choose(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """[B] passes over the data and [B] examples of a step: without replacement until all have been used."""
        indices = np.arange((step - 1) * self.settings.batch_size, step * self.settings.batch_size)
        passes, places = np.divmod(indices, self._n_examples)
        chosen = [self._order(int(epoch))[place] for epoch, place in zip(passes, places, strict=True)]
        return passes, np.asarray(chosen)

    @abstractmethod
    def _draw_step(self, step: int) -> Sequence[Planned[Drawn]]:
        """Draw the examples of step 1..n_steps, the shortest first."""

    @abstractmethod
    def _encode(self, drawn: Drawn, mode: Mode, step: int) -> Example:
        """Put a drawn example of step 1..n_steps into tokens."""
