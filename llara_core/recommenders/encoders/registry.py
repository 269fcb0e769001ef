"""Building an encoder by its module's name."""

from importlib import import_module

from torch import nn

from llara_core.params.recommenders import EncoderChoice


def build_encoder(choice: EncoderChoice, dim: int, max_length: int) -> nn.Module:
    """Build the encoder for vectors of width `dim` and sequences of up to `max_length` items."""
    return import_module(f"{__package__}.{choice.name}").Encoder(choice.options, dim, max_length)
