"""What a folder must hold before its weights are read: a whole causal language model, and nothing that leads elsewhere.

Such a folder comes from others. It is read as safetensors and JSON; no file of it is run, and none outside it is read.
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from llara_core.errors import ModelError
from llara_core.hybrid.families import FAMILIES

_INDEX = "model.safetensors.index.json"
_MOVING = ("dynamic", "longrope")
_ATTENTION = (None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")


def check_model_folder(folder: Path) -> None:
    """Check everything that can be told without reading weights.

    Raises:
        ModelError: naming the file, what it must be and what it is.
    """
    for pattern, what in (("config.json", "config.json"), ("*.safetensors", "weights (*.safetensors)")):
        if not list(folder.glob(pattern)):
            found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
            raise ModelError(f"{folder}: must hold {what}, found {found}")
    if (folder / "adapter_config.json").exists():
        # transformers would follow it to another model.
        raise ModelError(f"{folder}: must hold a whole model, found an adapter (adapter_config.json); merge it first")
    _check_config(folder / "config.json")
    _check_index(folder / _INDEX)
    for path in sorted(folder.glob("*.safetensors")):
        _check_header(path)


def _check_config(path: Path) -> None:
    try:
        config = AutoConfig.from_pretrained(path.parent, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # checked by transformers field by field, with as many kinds of errors
        raise ModelError(f"{path}: not a usable configuration: {str(error).strip().splitlines()[0]}") from error
    if not _is_causal(config):
        kind = ", ".join(config.architectures or ()) or "no architecture"
        raise ModelError(
            f"{path}: must be of a causal language model (a decoder that predicts the next token, such as Llama), "
            f"got model_type {config.model_type!r} with {kind}"
        )
    if config.model_type not in FAMILIES:
        raise ModelError(f"{path}: model_type must be one of {', '.join(FAMILIES)}, got {config.model_type}")
    if moving := _moving_positions(config):
        raise ModelError(
            f"{path}: rope_type must be one whose positions are the same in every batch, got {moving}, by which "
            "they depend on the longest text beside"
        )
    if (attention := getattr(config, "_attn_implementation", None)) not in _ATTENTION:
        # Any other name is a repository of compiled kernels on the hub.
        raise ModelError(f"{path}: must name an attention of transformers' own, got {attention!r}")


def _moving_positions(config: PreTrainedConfig) -> str | None:
    """The rotary embedding by which a text is read in one way alone and in another beside a longer one, if it is such.

    transformers chooses its frequencies by the last position of the whole batch, for all rows and whatever padding.
    """
    rotary = getattr(config, "rope_parameters", None) or {}
    kinds = [part.get("rope_type") for part in (rotary, *rotary.values()) if isinstance(part, dict)]  # some by layer
    return next((kind for kind in kinds if kind in _MOVING), None)


def _is_causal(config: PreTrainedConfig) -> bool:
    """Whether the model reads from left to right; models of the BERT kind do so only when told that they decode."""
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return False
    if getattr(config, "use_bidirectional_attention", False) or not getattr(config, "is_causal", True):
        return False
    causal = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    if config.architectures and not any(name in causal for name in config.architectures):
        return False
    return config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or bool(getattr(config, "is_decoder", False))


def _check_index(path: Path) -> None:
    """The index of weights in several files must name files of this folder, by their bare names."""
    if not path.exists():
        return
    try:
        names = sorted(set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ModelError(f"{path}: must map weights to files ({type(error).__name__}: {error})") from error
    there = {entry.name for entry in path.parent.glob("*.safetensors")}
    if strange := [name for name in names if name not in there]:
        raise ModelError(f"{path}: must name *.safetensors files beside it, got {strange[0]!r}")


def _check_header(path: Path) -> None:
    try:
        with safe_open(path, framework="np"):  # opening checks that tensors and file fit together
            pass
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: must be a complete safetensors file: {error}") from error
