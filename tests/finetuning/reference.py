"""Finetuning written out slowly: one example and one answer token at a time, AdamW and its schedule by hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llara_core.hybrid.model import HybridCausalLM
from llara_core.prompting.encoding import EncodedPrompt

Example = tuple[EncodedPrompt, list[int]]


def rate_factor(step: int, warmup_steps: int, n_steps: int) -> float:
    """Share of the learning rate in optimiser step 1..n_steps: equal parts up to 1, then half a cosine towards 0."""
    peak = max(warmup_steps, 1)
    if step <= peak:
        return step / peak
    return (1 + math.cos(math.pi * (step - peak) / (n_steps + 1 - peak))) / 2


@dataclass(frozen=True)
class Optimisation:
    """What decides the steps: rates at their peak, of LoRA's weights and of the projector's."""

    lr: float
    projector_lr: float
    weight_decay: float
    max_grad_norm: float
    warmup_steps: int
    n_steps: int


@dataclass
class _Weight:
    """One trainable tensor with AdamW's state, in double precision."""

    parameter: Tensor
    rate: float
    value: Tensor
    mean: Tensor
    square: Tensor
    updates: int = 0


def answer_log_likelihood(model: HybridCausalLM, prompt: EncodedPrompt, answer: list[int]) -> Tensor:
    """Sum over the answer's tokens (nats), without padding, with slots filled and projected one by one."""
    table, projector = model.llm.get_input_embeddings().weight, model.projector
    vectors = [table[token] for token in [*prompt.input_ids, *answer]]
    slots = [place for place, is_slot in enumerate(prompt.slot_mask) if is_slot]
    for place, item in zip(slots, prompt.slot_items, strict=True):
        hidden = projector.first.weight @ model.item_embeddings[item] + projector.first.bias
        hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2  # GELU
        vectors[place] = projector.last.weight @ hidden + projector.last.bias
    logits = model.llm(inputs_embeds=torch.stack(vectors)[None]).logits[0].double()
    start = len(prompt.input_ids) - 1  # the position that predicts the answer's first token
    return torch.stack([logits[start + i].log_softmax(0)[token] for i, token in enumerate(answer)]).sum()


def mean_loss(model: HybridCausalLM, examples: Sequence[Example]) -> Tensor:
    """Cross-entropy per answer token over all examples."""
    total = torch.stack([answer_log_likelihood(model, prompt, answer) for prompt, answer in examples]).sum()
    return -total / sum(len(answer) for _, answer in examples)


def train(
    model: HybridCausalLM, steps: Sequence[Sequence[Example]], how: Optimisation
) -> tuple[list[float], list[float]]:
    """Train in place; return each step's loss and the norm of its gradients before clipping."""
    weights = [
        _Weight(p, how.projector_lr if name.startswith("projector.") else how.lr, p.detach().double(), *_zeros(p))
        for name, p in model.named_parameters()
        if "lora_" in name or name.startswith("projector.")
    ]
    losses, norms = [], []
    for step, examples in enumerate(steps, start=1):
        loss = mean_loss(model, examples)
        gradients = torch.autograd.grad(loss, [weight.parameter for weight in weights], allow_unused=True)
        norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients if g is not None))
        scale = min(1.0, how.max_grad_norm / norm)
        factor = rate_factor(step, how.warmup_steps, how.n_steps)
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:  # a text-only step leaves the projector alone
                _update(weight, gradient.double() * scale, weight.rate * factor, how.weight_decay)
        losses.append(loss.item())
        norms.append(norm)
    return losses, norms


def _update(weight: _Weight, gradient: Tensor, rate: float, decay: float) -> None:
    """AdamW (arXiv 1711.05101, algorithm 2) with β = (.9, .999) and ε = 1e-8."""
    weight.updates += 1
    weight.mean = 0.9 * weight.mean + 0.1 * gradient
    weight.square = 0.999 * weight.square + 0.001 * gradient**2
    mean = weight.mean / (1 - 0.9**weight.updates)
    square = weight.square / (1 - 0.999**weight.updates)
    weight.value = weight.value - rate * decay * weight.value - rate * mean / (square.sqrt() + 1e-8)
    with torch.no_grad():
        weight.parameter.copy_(weight.value)


def _zeros(parameter: Tensor) -> tuple[Tensor, Tensor]:
    zeros = torch.zeros(parameter.shape, dtype=torch.float64)
    return zeros, zeros.clone()
