"""Options of SASRec."""

from typing import Literal

from llara_core.params.base import Dropout, PositiveInt
from llara_core.params.encoders.registry import EncoderOptions, require_heads_divide


class Options(EncoderOptions):
    """Sizes; `dropout` acts on inputs, attention weights and the output of every layer."""

    blocks: PositiveInt
    heads: PositiveInt
    dropout: Dropout
    positions: Literal["absolute", "relative"]

    def check_width(self, dim: int) -> None:
        """Heads share the width evenly."""
        require_heads_divide(dim, self.heads)
