"""Padding encoded prompts, with or without answers, into the tensors that the hybrid model reads."""

from collections.abc import Sequence

import torch
from torch import Tensor

from llara_core.prompting.encoding import EncodedPrompt

IGNORED = -100
"""Label of positions that don't count in the loss, as everywhere in transformers."""


def pad_on_the_right(prompts: Sequence[EncodedPrompt], filler_id: int) -> dict[str, Tensor]:
    """Stack prompts whose ends needn't meet.

    Returns:
        input_ids [B, S], slot_mask [B, S] bool, slot_items [K].
    """
    return _stack(prompts, [[]] * len(prompts), filler_id)


def pad_examples(
    prompts: Sequence[EncodedPrompt], answers: Sequence[Sequence[int]], filler_id: int
) -> dict[str, Tensor]:
    """Stack prompts with their answers for training: padded on the right.

    Returns:
        what `pad_on_the_right` does, and labels [B, S]: the answer's ids, elsewhere IGNORED.
    """
    batch = _stack(prompts, answers, filler_id)
    labels = torch.full_like(batch["input_ids"], IGNORED)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        start = len(prompt.input_ids)
        labels[row, start : start + len(answer)] = torch.tensor(answer)
    return {**batch, "labels": labels}


def _stack(prompts: Sequence[EncodedPrompt], answers: Sequence[Sequence[int]], filler_id: int) -> dict[str, Tensor]:
    texts = [[*prompt.input_ids, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    width = max(len(text) for text in texts)
    input_ids = torch.full((len(texts), width), filler_id)
    slot_mask = torch.zeros((len(texts), width), dtype=torch.bool)
    for row, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        input_ids[row, : len(text)] = torch.tensor(text)
        slot_mask[row, : len(prompt.slot_mask)] = torch.tensor(prompt.slot_mask)
    slot_items = torch.tensor([item for prompt in prompts for item in prompt.slot_items], dtype=torch.long)
    return {"input_ids": input_ids, "slot_mask": slot_mask, "slot_items": slot_items}


def to_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Bring a batch to where the model is."""
    return {name: tensor.to(device) for name, tensor in batch.items()}
