"""Greedy decoding of many rows at once, each under a rule of its own.

A step of a few rows costs little more than reading the weights, and the vocabulary's head, from memory. So prompts are
read in small batches, but all of them are answered together.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.reading import read_prompts
from llara_core.hybrid.row_cache import RowCache
from llara_core.objectives.numbers import require_finite
from llara_core.prompting.encoding import EncodedPrompt

_CPU_TOKENS = 800  # read in a pass: more are no quicker, and tensors of MiB leave the cache and go back to the system


class Rule(Protocol):
    """Says how a row may go on."""

    def __call__(self, written: Sequence[int]) -> Collection[int] | None:
        """Token ids one of which may follow what was written; None: any; empty: the row has ended."""


@torch.no_grad()
def write_greedily(
    model: HybridCausalLM,
    prompts: Sequence[EncodedPrompt],
    rules: Sequence[Rule],
    limits: Sequence[int],
    filler_id: int,
    batch_size: int,
) -> list[list[int]]:
    """Write the likeliest token after each of B prompts, and again; a row that has ended costs nothing more.

    Args:
        model: in evaluation mode.
        prompts: B encoded prompts.
        rules: [B].
        limits: [B] of tokens.
        filler_id: any existing token, for padding.
        batch_size: how many prompts are read at once; on a CPU fewer, if they are long.

    Returns:
        [B] token ids.

    Raises:
        ModelError: a score isn't a finite number.
    """
    written: list[list[int]] = [[] for _ in prompts]

    def going_on(rows: Sequence[int]) -> list[int]:
        """Places in `rows` of those that haven't ended."""
        return [
            place
            for place, row in enumerate(rows)
            if len(written[row]) < limits[row] and ((allowed := rules[row](written[row])) is None or allowed)
        ]

    rows = going_on(range(len(prompts)))
    if not rows:
        return written
    states, cache = _read(model, [prompts[row] for row in rows], max(limits), filler_id, batch_size)
    while True:
        tokens = _likeliest(model.head(states), [rules[row](written[row]) for row in rows])
        for row, token in zip(rows, tokens, strict=True):
            written[row].append(token)
        if not (staying := going_on(rows)):
            return written
        rows = [rows[place] for place in cache.leave(staying)]
        places = [len(prompts[row].input_ids) + len(written[row]) - 1 for row in rows]
        states = _read_on(model, cache, [written[row][-1] for row in rows], places)


def _read(
    model: HybridCausalLM, prompts: Sequence[EncodedPrompt], limit: int, filler_id: int, batch_size: int
) -> tuple[Tensor, RowCache]:
    """States [B, H] at the ends of B prompts, and what was read with room for `limit` more tokens."""
    cache = RowCache(len(prompts), max(len(prompt.input_ids) for prompt in prompts) + limit)
    most = _CPU_TOKENS if model.device.type == "cpu" else None
    states = []
    for start, end in portions([len(prompt.input_ids) for prompt in prompts], batch_size, most):
        read = read_prompts(model, prompts[start:end], filler_id)
        cache.put(start, read.cache)
        states.append(read.ends)
    return torch.cat(states), cache


def portions(lengths: Sequence[int], size: int, tokens: int | None) -> list[tuple[int, int]]:
    """Starts and ends of runs of up to `size` texts and, with padding, up to so many `tokens`, or of a single text."""
    cuts = [0]
    for place in range(1, len(lengths)):
        run = lengths[cuts[-1] : place + 1]
        if len(run) > size or (tokens is not None and len(run) * max(run) > tokens):
            cuts.append(place)
    return list(pairwise([*cuts, len(lengths)]))


def _read_on(model: HybridCausalLM, cache: RowCache, tokens: Sequence[int], places: Sequence[int]) -> Tensor:
    """States [B, H] at the next tokens of B rows, which stand at these places of their texts."""
    embeddings = model.llm.get_input_embeddings()(torch.tensor(tokens, device=model.device)[:, None])
    return model.states_seeing(embeddings, *cache.expect(places, model.device), cache)[:, 0]


def _likeliest(scores: Tensor, allowed: Sequence[Collection[int] | None]) -> list[int]:
    """[B] tokens of the highest scores [B, V], each among those allowed to its row."""
    require_finite(scores.amax(dim=-1))  # of all tokens: what isn't a number is told wherever it stands
    for row, some in zip(scores, allowed, strict=True):
        if some is not None:
            ids = torch.tensor(sorted(some), device=scores.device)
            kept = row[ids]
            row.fill_(-torch.inf)[ids] = kept
    require_finite(scores.amax(dim=-1))  # where all allowed ones are −inf, the highest would be any token at all
    return scores.argmax(dim=-1).tolist()
