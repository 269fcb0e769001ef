"""Whether processes that train together divide the language model among themselves, as the launcher wants it."""

import os
from importlib.util import find_spec
from typing import Literal, cast

from llara_core.errors import ModelError
from llara_core.runtime.processes import n_processes

Division = Literal["FSDP", "ZeRO-3"]

_WISHES: dict[str, Division] = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "ZeRO-3"}
_YES = ("y", "yes", "t", "true", "on", "1")  # accelerate's words
_DIVIDED = "LLARA_DIVIDED"
_SETTINGS: dict[Division, dict[str, str]] = {  # what launch/*.yaml say; nothing else has an effect on what is done
    "FSDP": {
        "FSDP_VERSION": "2",
        "FSDP_OFFLOAD_PARAMS": "false",
        "FSDP_RESHARD_AFTER_FORWARD": "true",
    },
    "ZeRO-3": {
        "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3",
        "ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE": "none",
        "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": "none",
        "ACCELERATE_DEEPSPEED_CONFIG_FILE": "none",
        "ACCELERATE_GRADIENT_CLIPPING": "none",
    },
}


def take_over_division() -> None:
    """Have accelerate know nothing of FSDP or DeepSpeed, and `division` of it instead; called before anything else.

    Accelerate would divide each model that is trained, a recommender too, once its training begins: by then a large
    language model would have had to be whole on each GPU. It knows of FSDP on GPUs alone, and DeepSpeed's engine would
    divide what is trained as well.

    Raises:
        ModelError: the launcher wants what isn't done, or what isn't installed.
    """
    for wish, by in _WISHES.items():
        if os.environ.pop(wish, "").lower() not in _YES:
            continue
        for name, done in _SETTINGS[by].items():
            if (found := os.environ.get(name, done).lower()) != done:
                raise ModelError(f"the launcher's {_short(name)} must be {done}, got {found}")
        if by == "ZeRO-3" and find_spec("deepspeed") is None:
            raise ModelError(
                "launch/zero3.yaml needs the package deepspeed: pip install -c constraints.txt -e '.[deepspeed]'; "
                "launch/fsdp.yaml divides the model without it"
            )
        os.environ[_DIVIDED] = by


def division() -> Division | None:
    """By what each process keeps a part of the language model's frozen weights only; None: it keeps them all."""
    return cast("Division | None", os.environ.get(_DIVIDED)) if n_processes() > 1 else None


def is_divided() -> bool:
    """Whether each process keeps a part of the language model's frozen weights only."""
    return division() is not None


def _short(name: str) -> str:
    """A setting as the launcher's file has it."""
    return name.lower().removeprefix("accelerate_").removeprefix("deepspeed_")
