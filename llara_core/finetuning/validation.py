"""The loss on held-out answers: what tuning is meant to lower, and what choices are made by."""

from collections.abc import Sequence

import torch

from llara_core.hybrid.batching import pad_examples
from llara_core.hybrid.model import HybridCausalLM
from llara_core.prompting.encoding import EncodedPrompt


@torch.no_grad()
def answer_loss(
    model: HybridCausalLM,
    examples: Sequence[tuple[EncodedPrompt, list[int]]],
    filler_id: int,
    batch_size: int,
) -> float:
    """Mean cross-entropy per answer token (nats) over `examples`, whatever the batch size."""
    training = model.training
    model.eval()
    ordered = sorted(examples, key=lambda example: len(example[0].input_ids))
    total = 0.0
    for start in range(0, len(ordered), batch_size):
        prompts, answers = zip(*ordered[start : start + batch_size], strict=True)
        batch = pad_examples(prompts, answers, filler_id)
        total += float(model(**{name: tensor.to(model.device) for name, tensor in batch.items()}))
    model.train(training)
    return total / sum(len(answer) for _, answer in ordered)
