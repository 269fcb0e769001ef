"""Scoring candidates by the likelihood of their titles: all of them against one pass over the prompt."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import DynamicCache

from llara_core.hybrid.batching import pad_prompts, to_device
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.numbers import require_finite
from llara_core.prompting.encoding import EncodedPrompt


@torch.no_grad()
def candidate_log_likelihoods(
    model: HybridCausalLM, prompts: Sequence[EncodedPrompt], answers: Sequence[Sequence[Sequence[int]]], filler_id: int
) -> np.ndarray:
    """Log-likelihoods [B, C] (nats) of each prompt's C answers, the end-of-text token included.

    The prompts run once and are kept as keys and values. Then each prompt's answers, one behind the other in a single
    row, run under a mask that shows every answer the prompt and itself but no other answer: C continuations for the
    price of their tokens, without C copies of the cache.

    Args:
        model: in evaluation mode.
        prompts: B encoded prompts.
        answers: [B][C] token ids, each with its end-of-text token.
        filler_id: any existing token, for padding.

    Raises:
        ModelError: a score isn't a finite number.
    """
    batch = to_device(pad_prompts(prompts, filler_id), model.device)
    prompt_mask = batch["attention_mask"]
    places = (prompt_mask.cumsum(dim=1) - 1).clamp(min=0)
    cache = DynamicCache()  # told of no sliding window, it keeps all keys, and the mask says which are near enough
    first = model.backbone(
        inputs_embeds=model.embed(batch["input_ids"], batch["slot_mask"], batch["slot_items"]),
        attention_mask=prompt_mask,
        position_ids=places,
        past_key_values=cache,
        use_cache=True,
    )
    rows = [_Row(candidates) for candidates in answers]
    ids, owners, offsets = (
        _pad([getattr(row, name) for row in rows], fill, model.device)
        for name, fill in (("inputs", filler_id), ("owners", -1), ("offsets", 0))
    )
    states = model.states_seeing(
        model.llm.get_input_embeddings()(ids),
        _visible(prompt_mask, owners),
        torch.cat([places, prompt_mask.sum(dim=1, keepdim=True) + offsets], dim=1),
        cache,
    )
    ends = first.last_hidden_state[:, -1:]
    return np.stack(
        [
            row.log_likelihoods(model.head(torch.cat([end, own[: len(row.inputs)]])))
            for row, end, own in zip(rows, ends, states, strict=True)
        ]
    )


class _Row:
    """One prompt's answers laid out in a row of inputs: each answer but its last token, which is only predicted."""

    def __init__(self, answers: Sequence[Sequence[int]]) -> None:
        self.answers = answers
        self.inputs = [token for answer in answers for token in answer[:-1]]
        self.owners = [i for i, answer in enumerate(answers) for _ in answer[:-1]]
        self.offsets = [place for answer in answers for place in range(len(answer) - 1)]

    def log_likelihoods(self, logits: Tensor) -> np.ndarray:
        """[C] sums, given logits [1 + N, V] of the prompt's end (row 0) and of the N inputs."""
        predictors: list[int] = []
        targets: list[int] = []
        owners: list[int] = []
        place = 1
        for i, answer in enumerate(self.answers):
            predictors += [0, *range(place, place + len(answer) - 1)]
            targets += answer
            owners += [i] * len(answer)
            place += len(answer) - 1
        losses = cross_entropy(logits[predictors], torch.tensor(targets, device=logits.device), reduction="none")
        require_finite(losses)
        return -np.bincount(owners, weights=losses.double().cpu().numpy(), minlength=len(self.answers))


def _pad(rows: list[list[int]], fill: int, device: torch.device) -> Tensor:
    padded = torch.full((len(rows), max(len(row) for row in rows)), fill)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = torch.tensor(row)
    return padded.to(device)


def _visible(prompt_mask: Tensor, owners: Tensor) -> Tensor:
    """[B, N, S + N] bool for prompt_mask [B, S] and the inputs' owners [B, N], -1 at padding."""
    length = owners.shape[1]
    same = owners[:, :, None] == owners[:, None, :]
    earlier = torch.ones(length, length, dtype=torch.bool, device=owners.device).tril()
    return torch.cat([prompt_mask.bool()[:, None, :].expand(-1, length, -1), same & earlier], dim=2)
