"""The entries of `recommenders`, and `pretrain`: how whichever is chosen gets trained."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from llara_core.params.base import Count, Name, PositiveFloat, PositiveInt, Precision, Probability, Section
from llara_core.params.encoders.registry import EncoderOptions, read_options


class EncoderChoice(Section):
    """The name of a module in `recommenders.encoders`, and the options that its namesake in `params.encoders` has."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    name: Name

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        read_options(self.name, self.model_extra or {})
        return self

    @property
    def options(self) -> EncoderOptions:
        """All fields but the name."""
        return read_options(self.name, self.model_extra or {})


class Ahead(Section):
    """A `share` of the targets is drawn from the items 2 to `reach` steps ahead instead of being the next."""

    share: Probability
    reach: Annotated[int, Field(ge=2)]


class Recommender(Section):
    """An encoder over item vectors of width `dim`, and what training it wants.

    Training windows have `window` targets; of `overlap` more items before them only the states are used. `average` is
    the decay per step of the moving average of weights that validation and export use; 0 takes the weights themselves.
    """

    encoder: EncoderChoice
    dim: PositiveInt
    tied: bool
    window: PositiveInt
    overlap: Count
    ahead: Ahead
    batch_positions: PositiveInt
    lr: PositiveFloat
    weight_decay: Annotated[float, Field(ge=0)]
    average: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _suits_the_encoder(self) -> Self:
        self.encoder.options.check_width(self.dim)
        return self

    @property
    def max_length(self) -> int:
        """The longest input that training shows."""
        return self.window + self.overlap


class Loss(Section):
    """What is minimised; `cross_entropy` reads `vocabulary_chunk`, the others draw `negatives` items.

    `t` is gBCE's calibration (Petrov & Macdonald 2023). Sampled softmax draws by popularity to the `proposal_power`, 0
    being uniform.
    """

    name: Literal["cross_entropy", "sampled_softmax", "gbce", "bce"]
    vocabulary_chunk: PositiveInt
    negatives: PositiveInt
    t: Probability
    proposal_power: Probability


class Pretrain(Section):
    """Training a recommender, whichever is chosen, and choosing its epoch by NDCG@10 on validation.

    `precision` is that of matrix products in training steps: bfloat16 is autocast; losses, recurrent layers and
    validation stay in float32.
    """

    loss: Loss
    warmup_steps: Count
    max_grad_norm: PositiveFloat
    precision: Precision
    max_epochs: PositiveInt
    patience: PositiveInt
    validation_examples: PositiveInt | None
    exclude_seen: bool
    checkpoint_every: PositiveInt
    compile: bool
