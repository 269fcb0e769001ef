"""Finding an encoder by its module's name, and checking its options."""

import pkgutil
from importlib import import_module
from pathlib import Path

from pydantic import ValidationError
from torch import nn

from llara_core.errors import ParamsError
from llara_core.params.loading import describe_problems
from llara_core.params.recommenders import EncoderChoice

_HERE = Path(__file__).resolve()


def encoder_names() -> list[str]:
    """Names of the modules beside this one."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_HERE.parent)]) if module.name != _HERE.stem)


def build_encoder(choice: EncoderChoice, dim: int, max_length: int) -> nn.Module:
    """Build the encoder for vectors of width `dim` and sequences of up to `max_length` items.

    Raises:
        ParamsError: there is no such encoder, or its options don't fit.
    """
    if choice.name not in encoder_names():
        raise ParamsError(f"encoder.name must be one of {', '.join(encoder_names())}, got {choice.name!r}")
    module = import_module(f"{__package__}.{choice.name}")
    try:
        options = module.Options.model_validate(choice.options)
    except ValidationError as error:
        raise ParamsError(describe_problems(error, inside=("encoder",))) from error
    try:
        return module.Encoder(options, dim, max_length)
    except ValueError as error:
        raise ParamsError(f"encoder {choice.name}: {error}") from error
