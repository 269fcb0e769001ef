"""Letting the model write its answer, as the official code does, but without padding before it and up to its end."""

from collections.abc import Sequence
from typing import NamedTuple

from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer.writing import write_greedily
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder


class Answer(NamedTuple):
    """What the model wrote, and whether it came to its end, instead of to the limit."""

    text: str
    is_whole: bool


def generate_answers(
    model: HybridCausalLM,
    prompts: Sequence[EncodedPrompt],
    encoder: PromptEncoder,
    limits: Sequence[int],
    batch_size: int,
) -> list[Answer]:
    """Greedily decode one answer per prompt.

    An answer ends at the end-of-text token, at a line's end, or after its own limit of tokens, which should be the
    length of its longest candidate: nothing longer can be an exact answer.

    Args:
        model: in evaluation mode.
        prompts: B encoded prompts.
        encoder: that encoded them.
        limits: [B] tokens, the end-of-text token included.
        batch_size: how many prompts are read at once.

    Raises:
        ModelError: a score isn't a finite number.
    """

    def rule(written: Sequence[int]) -> tuple[()] | None:
        return () if has_stopped(written) else None

    def has_stopped(written: Sequence[int]) -> bool:
        return bool(written) and written[-1] in encoder.stop_ids

    written = write_greedily(model, prompts, [rule] * len(prompts), limits, encoder.filler_id, batch_size)
    return [Answer(encoder.decode(ids), has_stopped(ids)) for ids in written]
