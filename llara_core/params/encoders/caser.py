"""Options of Caser."""

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from llara_core.params.base import Dropout, PositiveInt
from llara_core.params.encoders.registry import EncoderOptions


class Options(EncoderOptions):
    """Sizes: `context` is the paper's L; `horizontal` filters of each of the `heights`, `vertical` filters."""

    context: PositiveInt
    heights: Annotated[list[PositiveInt], Field(min_length=1)]
    horizontal: PositiveInt
    vertical: PositiveInt
    dropout: Dropout

    @model_validator(mode="after")
    def _filters_fit_the_context(self) -> Self:
        """Nothing but zeros could fill a filter that is higher than the context."""
        if max(self.heights) > self.context:
            raise ValueError(f"heights must be ≤ context {self.context}, got {max(self.heights)}")
        if any(low >= high for low, high in pairwise(self.heights)):
            raise ValueError(f"heights must ascend, got {self.heights}")
        return self

    @property
    def needed_history(self) -> int:
        """Return the context."""
        return self.context
