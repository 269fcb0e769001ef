"""A model that likes best what it is told to."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPast

from llara_core.hybrid.model import HybridCausalLM


def like(
    model: HybridCausalLM,
    monkeypatch: pytest.MonkeyPatch,
    liked: Callable[[int], Sequence[int]],
    least: float = 0.0,
) -> list[int]:
    """Let the model give the scores 1, ½, ⅓ … to the tokens liked(0), liked(1), … behind a prompt, behind one more …

    Returns:
        how many rows each of its passes has.
    """
    passes: list[int] = []
    step = 0

    def backbone(inputs_embeds: Tensor, attention_mask: Tensor | None = None, **_: object) -> BaseModelOutputWithPast:
        nonlocal step
        step = 0 if attention_mask is None else step + 1  # prompts are read without a mask
        passes.append(len(inputs_embeds))
        return BaseModelOutputWithPast(last_hidden_state=torch.full(inputs_embeds.shape, float(step)))

    def head(states: Tensor) -> Tensor:
        scores = torch.full((len(states), model.llm.config.vocab_size), least)
        for row, state in zip(scores, states, strict=True):
            for place, token in enumerate(liked(int(state[0]))):
                row[token] = 1 / (1 + place)
        return scores

    monkeypatch.setattr(model, "backbone", backbone)
    monkeypatch.setattr(model, "head", head)
    return passes
