"""Prompts read once and kept as keys and values, to be gone on from."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from llara_core.hybrid.batching import pad_on_the_right, to_device
from llara_core.hybrid.model import HybridCausalLM
from llara_core.prompting.encoding import EncodedPrompt


class ReadPrompts(NamedTuple):
    """B prompts that were read.

    Attributes:
        ends: [B, H] the states at their last tokens.
        lengths: [B] tokens.
        cache: keys and values of each from its first token on, with padding behind it up to the longest, S.
    """

    ends: Tensor
    lengths: Tensor
    cache: DynamicCache


def read_prompts(model: HybridCausalLM, prompts: Sequence[EncodedPrompt], filler_id: int) -> ReadPrompts:
    """Read B prompts without a mask, for which attention is quicker: no token sees the padding behind its prompt."""
    batch = to_device(pad_on_the_right(prompts, filler_id), model.device)
    lengths = torch.tensor([len(prompt.input_ids) for prompt in prompts], device=model.device)
    cache = DynamicCache()  # told of no sliding window, it keeps all keys, and masks say which are near enough
    return ReadPrompts(model.read_ends(model.embed(**batch), lengths, cache), lengths, cache)
