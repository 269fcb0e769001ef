"""Finding an encoder's options by its name."""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

from llara_core.params.base import Section

_HERE = Path(__file__).resolve()


class EncoderOptions(Section):
    """What the `encoder` of a recommender must and may have, besides its name."""

    def check_width(self, dim: int) -> None:
        """Raise ValueError if the encoder can't work on item vectors of width `dim`."""

    @property
    def needed_history(self) -> int:
        """How many items the encoder wants to see."""
        return 1


def encoder_names() -> list[str]:
    """Names of the modules beside this one."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_HERE.parent)]) if module.name != _HERE.stem)


def read_options(name: str, fields: dict[str, Any]) -> EncoderOptions:
    """Check the options of the encoder `name`.

    Raises:
        ValueError: there is no such encoder, or pydantic's ValidationError.
    """
    if name not in encoder_names():
        raise ValueError(f"name must be one of {', '.join(encoder_names())}, got {name!r}")
    return import_module(f"{__package__}.{name}").Options.model_validate(fields)


def require_heads_divide(dim: int, heads: int) -> None:
    """Check that `heads` heads share the width evenly.

    Raises:
        ValueError: they don't.
    """
    if dim % heads:
        raise ValueError(f"dim must be a multiple of encoder.heads {heads}, got {dim}")
