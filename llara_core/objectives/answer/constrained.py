"""Letting the model write one of the candidates: at every step it may only go on with one of their titles.

Greedy decoding over the trie of a prompt's own candidates (De Cao et al., arXiv 2010.00904, who search with a beam).
Scoring weighs whole titles; this decides token by token, as free writing does, but can't leave the list.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor, StoppingCriteria

from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer.generation import write_greedily
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder


def write_candidates(
    model: HybridCausalLM,
    prompts: Sequence[EncodedPrompt],
    answers: Sequence[Sequence[Sequence[int]]],
    encoder: PromptEncoder,
) -> list[int]:
    """Places [B] of the candidates that the model writes, each among its prompt's own.

    A row ends once a single candidate is left: each further token is then the only one allowed, whatever the model's
    scores, and needs no pass to be known. Most titles part in their first tokens, and so most passes are saved.

    Args:
        model: in evaluation mode.
        prompts: B encoded prompts.
        answers: [B][C] token ids of the candidates, each with its end-of-text token, which stands nowhere else.
        encoder: that encoded them.

    Raises:
        ModelError: a score isn't a finite number.
    """
    tries = [_Trie(row) for row in answers]
    written = write_greedily(
        model,
        prompts,
        encoder,
        limit=max(len(answer) for row in answers for answer in row),
        stop_ids=[encoder.eos_id],  # not at a line's end: a title that has one goes on
        rules=[_CandidatesOnly(tries)],
        ends=[_OneIsLeft(tries)],
    )
    return [trie.place_of(ids) for trie, ids in zip(tries, written, strict=True)]


class _Trie:
    """One prompt's candidates, by what has been written."""

    def __init__(self, answers: Sequence[Sequence[int]]) -> None:
        # A tokenizer may write different titles with the same tokens: of those, as of equal scores, the first is taken.
        self._places: dict[tuple[int, ...], int] = {}
        for place, answer in enumerate(answers):
            self._places.setdefault(tuple(answer), place)

    def going_on(self, written: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the answers that begin with `written`, or the last one left: padding follows where it was decided."""
        left = list(self._places)
        for place, token in enumerate(written):
            if len(left) == 1:
                break
            # None is too short: one that ended here would have been the only one with the end-of-text token before.
            left = [answer for answer in left if answer[place] == token]
        return left

    def place_of(self, written: Sequence[int]) -> int:
        """Place of the candidate that was decided on."""
        [answer] = self.going_on(written)
        return self._places[answer]


class _CandidatesOnly(LogitsProcessor):
    """Takes all other tokens away from the rows [B] that aren't decided."""

    def __init__(self, tries: Sequence[_Trie]) -> None:
        self._tries = tries

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        barred = torch.zeros_like(scores)
        for row, (trie, written) in enumerate(zip(self._tries, input_ids.tolist(), strict=True)):
            if len(left := trie.going_on(written)) > 1:
                barred[row] = -torch.inf
                barred[row, [answer[len(written)] for answer in left]] = 0.0
        return scores + barred  # a sum, for in it what is not a number stays one that is noticed


class _OneIsLeft(StoppingCriteria):
    """Ends the rows [B] in which a single candidate is left."""

    def __init__(self, tries: Sequence[_Trie]) -> None:
        self._tries = tries

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:
        written = input_ids.tolist()
        ended = [len(trie.going_on(ids)) == 1 for trie, ids in zip(self._tries, written, strict=True)]
        return torch.tensor(ended, device=input_ids.device)
