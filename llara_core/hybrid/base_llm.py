"""The pretrained language model and its tokenizer, from a package's GGUF file, the hub, or a local folder."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from llara_core.errors import ModelError
from llara_core.hybrid.attention import choose_attention, require_attention
from llara_core.hybrid.families import keep_lowest
from llara_core.hybrid.gguf import converted_folder
from llara_core.hybrid.model_folder import check_model_folder
from llara_core.hybrid.nf4 import keep_layout, nf4_config, require_plain, require_quantizer
from llara_core.params.sections import FolderLlm, HubLlm, Llm, PackagedLlm


def load_tokenizer(llm: Llm) -> tuple[PreTrainedTokenizerBase, int]:
    """Load the model's tokenizer, and say how many tokens the model can read.

    Raises:
        ModelError: it can't be had or read.
        SourceError: its file can't be downloaded or isn't the pinned one.
    """
    folder = _folder(llm)
    check_model_folder(folder)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # of many libraries, about files of others
        raise ModelError(f"{name_of(llm)}: not a usable tokenizer: {_first_line(error)}") from error
    return tokenizer, int(config.max_position_embeddings)


def load_base_llm(
    llm: Llm,
    device: torch.device,
    layers: int | None = None,
    *,
    works_on: torch.device | None = None,
    may_stand_in: bool = False,
) -> PreTrainedModel:
    """Load the model, frozen and in evaluation mode; its linear maps quantised, if the entry says so.

    Args:
        llm: which one.
        device: where it goes.
        layers: how many of its layers are used, from the bottom, below its final norm; None: all.
        works_on: where it will work, if it goes on from there.
        may_stand_in: whether attention that can't run here may be computed in another way.

    Raises:
        ModelError: it can't be had or read, doesn't fit, or its attention can't be computed as asked.
        SourceError: its file can't be downloaded or isn't the pinned one.
    """
    if not may_stand_in:
        require_attention(llm, works_on or device)
    folder = _folder(llm)
    check_model_folder(folder)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    attention = choose_attention(llm, config, works_on or device, may_stand_in=may_stand_in)
    dtype = getattr(torch, llm.dtype)
    if layers is not None:
        if layers > config.num_hidden_layers:
            raise ModelError(f"{name_of(llm)}: has {config.num_hidden_layers} layers, got objectives.*.layers {layers}")
        keep_lowest(config, layers)
    quantised: dict[str, Any] = {}
    if llm.quantization is not None:
        require_plain(name_of(llm), config)
        quantised = {"quantization_config": nf4_config(dtype), "device_map": {"": device}}  # matrix by matrix, there
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # it warns of layers that aren't wanted; what is missing is told below
    try:
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            attn_implementation=attention,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # told below, by name
            output_loading_info=True,
            **quantised,
        )
    except torch.OutOfMemoryError as error:  # of a quantised model, whose weights go to the GPU one by one
        raise ModelError(
            f"{name_of(llm)}: its weights don't fit into what is free of the GPU's memory ({_first_line(error)}); "
            "`llara plan` says what they take"
        ) from error
    except Exception as error:  # of many libraries, about files of others
        raise ModelError(f"{name_of(llm)}: not a usable language model: {_first_line(error)}") from error
    _require_all_weights(name_of(llm), loaded)
    # Not the model's own, which may forbid tokens, punish repeats or sample: greedy decoding is to be greedy.
    model.generation_config = GenerationConfig()
    if quantised:
        keep_layout(model)
    return model.requires_grad_(requires_grad=False).eval().to(device)


def _require_all_weights(name: str, loaded: dict[str, Any]) -> None:
    """Refuse a model that doesn't hold all its weights: transformers draws those that are missing at random."""
    if missing := sorted(loaded["missing_keys"]):
        raise ModelError(f"{name}: must hold all weights of its config.json, lacks {len(missing)}: {missing[0]}, …")
    for weight, found, expected in sorted(loaded["mismatched_keys"]):
        raise ModelError(f"{name}: {weight} must have shape {tuple(expected)} by config.json, got {tuple(found)}")


def name_of(llm: Llm) -> str:
    """Return the name under which an adapter remembers its base model; never a path of this machine's cache."""
    match llm:
        case PackagedLlm():
            return llm.file
        case HubLlm():
            return llm.id
        case FolderLlm():
            return str(llm.path)


def _folder(llm: Llm) -> Path:
    require_quantizer(llm)
    match llm:
        case PackagedLlm():
            return converted_folder(llm)
        case HubLlm():
            return _hub_snapshot(llm)
        case FolderLlm():
            if not llm.path.is_dir():
                raise ModelError(f"llms.*.path: {llm.path} must be a folder, and isn't there")
            return llm.path


def _hub_snapshot(llm: HubLlm) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        # Neither pickled weights nor code: only what safetensors and JSON can say, and words for a sandbox to fill in.
        patterns = ["*.safetensors", "*.json", "tokenizer.model", "chat_template.jinja"]
        return Path(snapshot_download(llm.id, revision=llm.revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"{llm.id}: could not be downloaded ({_first_line(error)}); if it is gated, accept its licence on the hub "
            "and set HF_TOKEN; offline, place it in a folder and use an llms entry with source: folder"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
