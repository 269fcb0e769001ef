"""Letting the model write one of the candidates: at every step it may only go on with one of their titles.

Greedy decoding over the trie of a prompt's own candidates (De Cao et al., arXiv 2010.00904, who search with a beam).
Scoring weighs whole titles; this decides token by token, as free writing does, but can't leave the list.
"""

from collections.abc import Sequence

from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer.writing import write_greedily
from llara_core.prompting.encoding import EncodedPrompt


def write_candidates(
    model: HybridCausalLM,
    prompts: Sequence[EncodedPrompt],
    answers: Sequence[Sequence[Sequence[int]]],
    filler_id: int,
    batch_size: int,
) -> list[int]:
    """Places [B] of the candidates that the model writes, each among its prompt's own.

    A row ends once a single candidate is left: each further token is then the only one allowed, whatever the model's
    scores, and needs no pass to be known. Most titles part in their first tokens, and so most passes are saved.

    Args:
        model: in evaluation mode.
        prompts: B encoded prompts.
        answers: [B][C] token ids of the candidates, each with its end-of-text token, which stands nowhere else.
        filler_id: any existing token, for padding.
        batch_size: how many prompts are read at once.

    Raises:
        ModelError: a score isn't a finite number.
    """
    tries = [_Trie(row) for row in answers]
    limits = [max(map(len, row)) for row in answers]
    written = write_greedily(model, prompts, tries, limits, filler_id, batch_size)
    return [trie.place_of(ids) for trie, ids in zip(tries, written, strict=True)]


class _Trie:
    """One prompt's candidates, by what has been written."""

    def __init__(self, answers: Sequence[Sequence[int]]) -> None:
        # A tokenizer may write different titles with the same tokens: of those, as of equal scores, the first is taken.
        self._places: dict[tuple[int, ...], int] = {}
        for place, answer in enumerate(answers):
            self._places.setdefault(tuple(answer), place)

    def __call__(self, written: Sequence[int]) -> set[int]:
        """Return the tokens with which candidates go on behind `written`; none once it can only be a single one."""
        left = self._beginning_with(written)
        return {answer[len(written)] for answer in left} if len(left) > 1 else set()

    def place_of(self, written: Sequence[int]) -> int:
        """Place of the candidate that was decided on."""
        [answer] = self._beginning_with(written)
        return self._places[answer]

    def _beginning_with(self, written: Sequence[int]) -> list[tuple[int, ...]]:
        # None that is left is shorter: one that ended before would have been the only one with its end-of-text token.
        return [answer for answer in self._places if answer[: len(written)] == tuple(written)]
