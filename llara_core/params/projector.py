"""The sections `projector` and `fusion`: how item vectors become behavioural tokens, and how these join titles."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from llara_core.params.base import PositiveInt, Section


class LinearProjector(Section):
    """One affine map."""

    kind: Literal["linear"]


class MlpProjector(Section):
    """`depth` affine maps with GELU between them, `hidden` wide inside; of depth 2 it is the paper's."""

    kind: Literal["mlp"]
    depth: Annotated[int, Field(ge=2)]
    hidden: PositiveInt


class TransformerProjector(Section):
    """So many `blocks` of causal self-attention over a prompt's slots, `hidden` wide and with `heads` heads."""

    kind: Literal["transformer"]
    blocks: PositiveInt
    heads: PositiveInt
    hidden: PositiveInt

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden must be a multiple of heads {self.heads}, got {self.hidden}")
        return self


Projector = Annotated[LinearProjector | MlpProjector | TransformerProjector, Field(discriminator="kind")]

FusionKind = Literal["append", "replace", "add", "gate"]
"""Behavioural tokens behind titles, or at each of their tokens: instead of it, added to it, added through a gate."""
ADDITIVE: tuple[FusionKind, ...] = ("add", "gate")
"""Those whose behavioural tokens need words to be added to."""


class Fusion(Section):
    """How a hybrid prompt joins an item's title and its behavioural token."""

    kind: FusionKind
