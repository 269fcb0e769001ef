"""Base models whose linear maps are kept in 4 bits (QLoRA, arXiv 2305.14314), by bitsandbytes.

Blocks of 64 weights are divided by their largest and rounded to one of 16 levels, the quantiles of a normal
distribution (NF4); the blocks' scales are 8-bit numbers themselves (double quantisation). Each product dequantises its
matrix to the model's `dtype`. Embeddings, norms and the vocabulary's head stay as they are.
"""

from importlib.util import find_spec

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedConfig, PreTrainedModel

from llara_core.errors import ModelError
from llara_core.params.sections import Llm

INSTALL = "pip install -c constraints.txt -e '.[gpu]'"


def require_quantizer(llm: Llm) -> None:
    """Look whether what an entry's quantisation needs is installed; cheap, so that it comes before any download.

    Raises:
        ModelError: it isn't.
    """
    if llm.quantization is not None and find_spec("bitsandbytes") is None:
        raise ModelError(
            f"llms.*.quantization {llm.quantization} needs bitsandbytes, which isn't installed; install the extra gpu: "
            f"{INSTALL}"
        )


def require_plain(name: str, config: PreTrainedConfig) -> None:
    """Refuse to quantise what is quantised already; errors call the model `name`.

    Raises:
        ModelError: it is.
    """
    if (found := getattr(config, "quantization_config", None)) is not None:
        method = found.get("quant_method") if isinstance(found, dict) else getattr(found, "quant_method", found)
        raise ModelError(
            f"{name}: config.json must have no quantization_config for llms.*.quantization nf4, got one of {method}"
        )


def nf4_config(dtype: torch.dtype) -> BitsAndBytesConfig:
    """Return QLoRA's settings, with products in `dtype`."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def is_quantised(llm: PreTrainedModel) -> bool:
    """Whether a model was loaded so."""
    return bool(getattr(llm, "is_loaded_in_4bit", False))


def keep_layout(llm: PreTrainedModel) -> None:
    """Keep bitsandbytes from repacking weights where a CPU has bfloat16 instructions (AVX-512).

    It does so for good when it first multiplies in evaluation mode. Then scales lose bits, matrices whose height isn't
    a multiple of 32 fail, and, in training that follows a validation, no gradient passes through the product.
    """
    from bitsandbytes.nn import Linear4bit

    for part in llm.modules():
        if isinstance(part, Linear4bit):
            part.support_avx512bf16_for_cpu = False


def quantise(llm: PreTrainedModel) -> None:
    """Prepare a model that wasn't loaded from files: its linear maps are quantised as it goes to its device."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    head = llm.get_output_embeddings()
    for path, part in [(path, part) for path, part in llm.named_modules() if type(part) is nn.Linear]:
        if part is head:
            continue
        small = Linear4bit(part.in_features, part.out_features, compute_dtype=part.weight.dtype, quant_type="nf4")
        small.weight = Params4bit(part.weight.data, requires_grad=False, quant_type="nf4", module=small)
        small.bias = part.bias
        llm.set_submodule(path, small)
    llm.is_loaded_in_4bit = True
    keep_layout(llm)


def dequantised(llm: PreTrainedModel) -> PreTrainedModel:
    """Return a quantised model as a plain, frozen one in float32, with the very weights that its products have."""
    # To the weights' own type first, in which products see them, and then without loss to float32.
    plain = llm.dequantize(dtype=torch.float32).float().requires_grad_(requires_grad=False)
    plain.is_loaded_in_4bit = False  # peft, and `is_quantised`, would go by it
    return plain
