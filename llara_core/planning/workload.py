"""How much a finetuning reads: examples, steps and tokens, whoever has counted them."""

import math
from dataclasses import dataclass, replace
from typing import Any

from llara_core.params.objectives import Choice, Recipe, Stream
from llara_core.params.params import Params


@dataclass(frozen=True)
class Catalogue:
    """The dataset, in numbers.

    Attributes:
        interactions: of all users.
        items: n.
        examples: that training has to draw from: positions, or for `stream` chunks.
        lists: stored candidate sets.
        origin: where these are from, in words.
    """

    interactions: int
    items: int
    examples: int
    lists: int
    origin: str


@dataclass(frozen=True)
class Lengths:
    """What an example looks like to the language model.

    Attributes:
        mean: tokens of an example, padding left out.
        widest: tokens of the longest text of any micro-batch, to which the others of it are padded.
        padded: tokens of an example on average, with that padding.
        item: tokens of an item, with the one behind it.
        answer: tokens of an answer, at each of which there are logits over the vocabulary; 0 where there is no answer.
        slots: behavioural tokens of an example, at most.
        targets: places of an example at which something is asked, at most.
        origin: who counted them, in words.
    """

    mean: float
    widest: int
    padded: float
    item: float
    answer: float
    slots: int
    targets: int
    origin: str


@dataclass(frozen=True)
class Workload:
    """Catalogue, lengths, and the steps that params make of them.

    Attributes:
        catalogue: the dataset.
        lengths: of examples.
        examples: of all steps.
        steps: of the optimiser.
        rows: examples of a micro-batch.
        validated: tokens that all measurements on validation read together, with the fit of a head.
    """

    catalogue: Catalogue
    lengths: Lengths
    examples: int
    steps: int
    rows: int
    validated: int

    @property
    def tokens(self) -> int:
        """That training reads, padding left out."""
        return round(self.examples * self.lengths.mean)

    @property
    def padded_tokens(self) -> int:
        """That training computes."""
        return round(self.examples * self.lengths.padded)

    @property
    def largest(self) -> int:
        """Tokens of the largest micro-batch."""
        return self.rows * self.lengths.widest

    @property
    def passes(self) -> float:
        """How often each example is seen."""
        return self.examples / max(self.catalogue.examples, 1)


def with_recipe(before: Params, **fields: Any) -> Params:
    """Return params whose selected objective has other `fields`."""
    name = before.train.objective.name
    recipe = getattr(before.objectives, name).model_copy(update=fields)
    return before.model_copy(update={"objectives": before.objectives.model_copy(update={name: recipe})})


def plan_workload(params: Params, catalogue: Catalogue, lengths: Lengths) -> Workload:
    """Count steps as training will take them (`objectives.step_plan`)."""
    recipe = params.selected_objective
    steps = math.ceil(params.curriculum.epochs * recipe.examples_per_epoch / recipe.batch_size)
    return Workload(
        catalogue=catalogue,
        lengths=lengths,
        examples=steps * recipe.batch_size,
        steps=steps,
        rows=recipe.rows,
        validated=_validated(params, recipe, lengths),
    )


def _validated(params: Params, recipe: Recipe, lengths: Lengths) -> int:
    times = recipe.validation.times + 1  # once before the first step
    match recipe:
        case Stream():
            # A chunk asks about its items beyond the history that each position is to have.
            inside = recipe.chunk_tokens / lengths.item
            asked = max(inside - params.split.history_length, 1.0)
            read = math.ceil(recipe.validation.positions / asked) * recipe.chunk_tokens
            return round(times * read + recipe.ridge.positions * lengths.item)
        case Choice():
            return round((times * recipe.validation.positions + recipe.ridge.positions) * lengths.mean)
        case _:
            return round(times * recipe.validation.positions * lengths.mean)


def changed(before: Workload, old: Params, new: Params) -> Workload:
    """Return the workload of params that differ in what `advice` changes, without counting tokens again."""
    lengths, recipe = before.lengths, new.selected_objective
    if isinstance(recipe, Stream):
        was = old.objectives.stream.chunk_tokens
        share = recipe.chunk_tokens / was
    else:
        listed = [params.split.history_length + params.candidates.size for params in (old, new)]
        removed = (listed[0] - listed[1]) * lengths.item
        share = 1 - removed / lengths.mean
    scaled = replace(
        lengths,
        mean=lengths.mean * share,
        widest=math.ceil(lengths.widest * share),
        padded=lengths.padded * share,
        slots=math.ceil(lengths.slots * share),
        targets=math.ceil(lengths.targets * share) if isinstance(recipe, Stream) else lengths.targets,
    )
    return plan_workload(new, before.catalogue, scaled)
