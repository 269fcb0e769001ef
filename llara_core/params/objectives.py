"""The entries of `objectives`: what the language model is trained for, and the recipe that each way of it wants."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from llara_core.params.base import Dropout, PositiveFloat, PositiveInt, Probability, Section

ObjectiveName = Literal["answer", "choice", "stream"]


class Validation(Section):
    """What chooses among the weights of a training.

    It is measured `times` times, the last time after the last step, on so many `positions` of the validation users, and
    training ends when it hasn't improved `patience` times.
    """

    positions: PositiveInt
    times: PositiveInt
    patience: PositiveInt


def _number_or_auto(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError(f"must be a whole number ≥ 1, or auto, got {value!r}")


class Recipe(Section):
    """What every objective has.

    An epoch has `examples_per_epoch`, an optimiser step `batch_size` of them in micro-batches of `micro_batch_size`;
    `auto`: as many as fit into the memory that is free when training starts (`planning.micro_batch`).
    `lr` is that of LoRA's weights, `projector_lr` of the projector's. `average` is the decay per step of the moving
    average of weights that validation measures and the adapter keeps; 0: the weights themselves.
    """

    examples_per_epoch: PositiveInt
    batch_size: PositiveInt
    micro_batch_size: Annotated[int | Literal["auto"], BeforeValidator(_number_or_auto)]
    lr: PositiveFloat
    projector_lr: PositiveFloat
    average: Annotated[float, Field(ge=0, lt=1)]
    validation: Validation

    @model_validator(mode="after")
    def _micro_batches_fill_the_batch(self) -> Self:
        if self.micro_batch_size != "auto" and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size must be a multiple of micro_batch_size {self.micro_batch_size}, got {self.batch_size}"
            )
        return self

    @property
    def rows(self) -> int:
        """Examples of a micro-batch.

        Raises:
            ValueError: that is still to be found out.
        """
        if self.micro_batch_size == "auto":
            raise ValueError("micro_batch_size is auto: planning.micro_batch must put a number in its place first")
        return self.micro_batch_size


class Answer(Recipe):
    """Examples are prompts with candidates; the loss is the language model's own, on the title that answers."""


class Ridge(Section):
    """The start of the head: ridge regression from so many training `positions`, with a `penalty` on unit features."""

    positions: PositiveInt
    penalty: PositiveFloat


class RecipeWithHead(Recipe):
    """What objectives have that answer in the recommender's space.

    `layers` of the language model are read, from the bottom. `head_lr` is the learning rate of the maps into the
    recommender's space. A `distillation` share of the loss follows the recommender's probabilities instead of the item
    that came next.
    """

    layers: PositiveInt | None
    head_lr: PositiveFloat
    distillation: Probability
    ridge: Ridge


class Choice(RecipeWithHead):
    """Examples are prompts with candidates; a pointer from the prompt's end chooses among the candidates."""


class Sampled(Section):
    """Catalogues `beyond` so many items are compared with `negatives` drawn ones instead of with all."""

    beyond: PositiveInt
    negatives: PositiveInt


class TitleVectors(Section):
    """Items with fewer than `below` training interactions get the vector that their title lets expect.

    It is the ridge regression, with a `penalty` on unit features, of the other items' vectors on the states of the
    untrained language model behind their titles.
    """

    below: PositiveInt
    penalty: PositiveFloat


class Stream(RecipeWithHead):
    """Examples are chunks of histories of up to `chunk_tokens`; the state behind every item predicts the next one.

    In training an `item_dropout` share of a chunk's items isn't shown, and a `state_dropout` share of each state's
    features doesn't reach the head.
    """

    chunk_tokens: PositiveInt
    item_dropout: Dropout
    state_dropout: Dropout
    sampled: Sampled
    title_vectors: TitleVectors | None


class Objectives(Section):
    """An entry per objective."""

    answer: Answer
    choice: Choice
    stream: Stream


class ObjectiveChoice(Section):
    """Which entry of `objectives` is trained."""

    name: ObjectiveName
