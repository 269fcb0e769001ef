"""Options of HSTU."""

from llara_core.params.base import Dropout, PositiveInt
from llara_core.params.encoders.registry import EncoderOptions, require_heads_divide


class Options(EncoderOptions):
    """Sizes; `dropout` acts on inputs and on the gated output of every layer."""

    blocks: PositiveInt
    heads: PositiveInt
    dropout: Dropout

    def check_width(self, dim: int) -> None:
        """Heads share the width evenly."""
        require_heads_divide(dim, self.heads)
