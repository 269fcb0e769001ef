"""Which of transformers' implementations of attention an entry of `llms` can have on this machine."""

from importlib.metadata import PackageNotFoundError, version

import torch
from transformers import PreTrainedConfig
from transformers.utils import is_flash_attn_2_available

from llara_core.errors import ModelError
from llara_core.hybrid.families import caps_scores
from llara_core.params.sections import Attention, Llm
from llara_core.runtime.logs import LOGGER

FLASH: Attention = "flash_attention_2"
_PACKAGE = "flash-attn"
_CAPABILITY = (8, 0)  # Ampere


def require_attention(llm: Llm, device: torch.device) -> None:
    """Check all that can be told before anything of the model is here.

    Raises:
        ModelError: flash attention can't run with these weights, on this device, or for lack of its package.
    """
    if llm.attention == FLASH and (lacks := _lacks(llm, device)):
        raise ModelError(f"llms.*.attention: {FLASH} needs {'; '.join(lacks)}; choose sdpa")


def choose_attention(llm: Llm, config: PreTrainedConfig, device: torch.device, *, may_stand_in: bool) -> Attention:
    """Return the implementation with which a model of this configuration is loaded.

    Args:
        llm: the entry.
        config: the model's.
        device: where it goes.
        may_stand_in: whether one that computes the same may stand in for flash attention where that can't run: a model
            that was tuned on a GPU can be asked everywhere.

    Raises:
        ModelError: it can't run here, or doesn't cap scores, as the model needs.
    """
    if llm.attention == FLASH and may_stand_in and (lacks := _lacks(llm, device)):
        other = stand_in(config)
        LOGGER.warning("%s needs %s: asking with %s, which computes the same", FLASH, "; ".join(lacks), other)
        return other
    require_attention(llm, device)
    if llm.attention == "sdpa" and caps_scores(config):
        raise ModelError(
            f"llms.*.attention must be eager or {FLASH} for a {config.model_type}, which caps attention's scores, "
            "got sdpa"
        )
    return llm.attention


def stand_in(config: PreTrainedConfig) -> Attention:
    """Return what computes the same as flash attention, and takes every mask."""
    return "eager" if caps_scores(config) else "sdpa"


def _lacks(llm: Llm, device: torch.device) -> list[str]:
    lacks = []
    if llm.dtype != "bfloat16":
        lacks.append(f"weights of bfloat16 (llms.*.dtype), got {llm.dtype}")
    if device.type != "cuda":
        lacks.append(f"a GPU, got the {device.type.upper()}")
    elif torch.cuda.get_device_capability(device) < _CAPABILITY:
        lacks.append(f"a GPU of the Ampere generation or later, got {torch.cuda.get_device_name(device)}")
    try:
        found = version(_PACKAGE)
    except PackageNotFoundError:
        return [*lacks, f"the package {_PACKAGE}, which isn't installed"]
    if not lacks and not is_flash_attn_2_available():
        lacks.append(f"a version of the package {_PACKAGE} that transformers takes, got {found}")
    return lacks
