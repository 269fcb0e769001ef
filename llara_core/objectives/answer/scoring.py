"""Scoring candidates by the likelihood of their titles: all of them against one pass over the prompt."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.reading import read_prompts
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
    read = read_prompts(model, prompts, filler_id)
    lengths = read.lengths[:, None]
    places = torch.arange(int(lengths.max()), device=model.device).expand(len(prompts), -1)
    rows = [_Row(candidates) for candidates in answers]
    ids, owners, offsets = (
        _pad([getattr(row, name) for row in rows], fill, model.device)
        for name, fill in (("inputs", filler_id), ("owners", -1), ("offsets", 0))
    )
    own = lengths + offsets
    states = model.states_seeing(
        model.llm.get_input_embeddings()(ids),
        _visible(places < lengths, owners),
        own,
        torch.cat([places, own], dim=1),
        read.cache,
    )
    return np.stack(
        [
            row.log_likelihoods(model.head(torch.cat([end[None], behind[: len(row.inputs)]])))
            for row, end, behind in zip(rows, read.ends, states, strict=True)
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


def _visible(prompts: Tensor, owners: Tensor) -> Tensor:
    """[B, N, S + N] bool for prompts [B, S], False at padding, and the inputs' owners [B, N], -1 at padding."""
    length = owners.shape[1]
    same = owners[:, :, None] == owners[:, None, :]
    earlier = torch.ones(length, length, dtype=torch.bool, device=owners.device).tril()
    return torch.cat([prompts[:, None, :].expand(-1, length, -1), same & earlier], dim=2)
