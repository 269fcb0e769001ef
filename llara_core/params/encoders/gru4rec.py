"""Options of GRU4Rec."""

from llara_core.params.base import Dropout, PositiveInt
from llara_core.params.encoders.registry import EncoderOptions


class Options(EncoderOptions):
    """Sizes; `dropout` acts on inputs and on the hidden states of every layer."""

    layers: PositiveInt
    hidden: PositiveInt
    dropout: Dropout
