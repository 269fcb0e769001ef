"""Projectors written out: one slot at a time, one head at a time, from their weights and formulas alone."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from llara_core.hybrid.projector import Projector, SlotTransformer

_EPSILON = 1e-5  # of layer norms


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def behavioural_tokens(projector: Projector, vectors: Sequence[Tensor]) -> list[Tensor]:
    """[T][H] the tokens of a prompt's T slots in order, from their items' vectors [T][D], gates included.

    Gradients reach the projector's weights.
    """
    weights = dict(projector.named_parameters())
    make = _transformed if isinstance(projector, SlotTransformer) else _perceived
    tokens = make(weights, projector, vectors)
    if projector.gate is None:
        return tokens
    return [
        2 / (1 + torch.exp(-_linear(weights, "gate", vector))) * token
        for vector, token in zip(vectors, tokens, strict=True)
    ]


def _linear(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]


def _perceived(weights: dict[str, Tensor], projector: Projector, vectors: Sequence[Tensor]) -> list[Tensor]:
    names = [name.removesuffix(".weight") for name in weights if name.endswith("weight") and "gate" not in name]
    tokens = []
    for vector in vectors:
        for name in names[:-1]:
            vector = gelu(_linear(weights, name, vector))
        tokens.append(_linear(weights, names[-1], vector))
    return tokens


def _transformed(weights: dict[str, Tensor], projector: SlotTransformer, vectors: Sequence[Tensor]) -> list[Tensor]:
    states = [_linear(weights, "first", vector) for vector in vectors]
    for place, block in enumerate(projector.blocks):
        states = _block(weights, f"blocks.{place}", block.heads, states)
    return [_linear(weights, "last", state) for state in states]


def _block(weights: dict[str, Tensor], name: str, heads: int, states: list[Tensor]) -> list[Tensor]:
    width = len(weights[f"{name}.attended.bias"])

    def norm(part: str, x: Tensor) -> Tensor:
        middle = x.sum() / width
        size = ((x - middle).square().sum() / width + _EPSILON).sqrt()
        return weights[f"{name}.{part}.weight"] * (x - middle) / size + weights[f"{name}.{part}.bias"]

    mixed = [_linear(weights, f"{name}.query_key_value", norm("norm_before_attention", state)) for state in states]
    after = []
    for t, state in enumerate(states):
        heard = []
        for head in range(heads):
            part = slice(head * width // heads, (head + 1) * width // heads)
            query, keys, values = ([m[kind * width : (kind + 1) * width][part] for m in mixed] for kind in range(3))
            scores = torch.stack([query[t] @ key for key in keys[: t + 1]]) / math.sqrt(width / heads)
            shares = (scores - scores.max()).exp()
            shares = shares / shares.sum()
            heard.append(sum(share * value for share, value in zip(shares, values[: t + 1], strict=True)))
        state = state + _linear(weights, f"{name}.attended", torch.cat(heard))
        inside = gelu(_linear(weights, f"{name}.up", norm("norm_before_mlp", state)))
        after.append(state + _linear(weights, f"{name}.down", inside))
    return after
