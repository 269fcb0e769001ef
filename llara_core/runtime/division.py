"""Whether processes that train together divide the language model among themselves, as the launcher wants it."""

import os

from llara_core.errors import ModelError
from llara_core.runtime.processes import n_processes

_FSDP, _DEEPSPEED, _DIVIDED = "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "LLARA_DIVIDED"
_SETTINGS = {  # what launch/fsdp.yaml says; nothing else has an effect on what is done
    "FSDP_VERSION": "2",
    "FSDP_OFFLOAD_PARAMS": "false",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}


def take_over_division() -> None:
    """Have accelerate know nothing of FSDP, and `is_divided` of it instead; called before anything else.

    Accelerate would divide each model that is trained, a recommender too, once its training begins: by then a large
    language model would have had to be whole on each GPU. And it knows of FSDP on GPUs alone.

    Raises:
        ModelError: the launcher wants what isn't done.
    """
    if os.environ.get(_DEEPSPEED, "").lower() == "true":
        raise ModelError(
            "the launcher's distributed_type must be MULTI_GPU or FSDP (launch/fsdp.yaml, which divides the model as "
            "ZeRO-3 does), got DEEPSPEED"
        )
    if os.environ.pop(_FSDP, "").lower() != "true":
        return
    for name, done in _SETTINGS.items():
        if (found := os.environ.get(name, done).lower()) != done:
            raise ModelError(f"the launcher's {name.lower()} must be {done}, got {found}")
    os.environ[_DIVIDED] = "true"


def is_divided() -> bool:
    """Whether each process keeps a part of the language model's frozen weights only."""
    return _DIVIDED in os.environ and n_processes() > 1
