"""Letting the model write its answer, as the official code does, but padded on the left and stopped at the end."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from llara_core.hybrid.batching import pad_prompts, to_device
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.numbers import require_finite
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder


class Answer(NamedTuple):
    """What the model wrote, and whether it came to its end, instead of to the limit."""

    text: str
    is_whole: bool


def generate_answers(
    model: HybridCausalLM, prompts: Sequence[EncodedPrompt], encoder: PromptEncoder, limits: Sequence[int]
) -> list[Answer]:
    """Greedily decode one answer per prompt.

    An answer ends at the end-of-text token, at a line's end, or after its own limit of tokens, which should be the
    length of its longest candidate: nothing longer can be an exact answer. The batch runs to the longest limit, and
    what goes beyond an answer's own is cut off, so that no answer depends on the others.

    Args:
        model: in evaluation mode.
        prompts: B encoded prompts.
        encoder: that encoded them.
        limits: [B] tokens, the end-of-text token included.

    Raises:
        ModelError: a score isn't a finite number.
    """
    written = write_greedily(model, prompts, encoder, limit=max(limits), stop_ids=encoder.stop_ids)
    own = [ids[:limit] for ids, limit in zip(written, limits, strict=True)]
    return [Answer(encoder.decode(ids), any(token in encoder.stop_ids for token in ids)) for ids in own]


@torch.no_grad()
def write_greedily(
    model: HybridCausalLM,
    prompts: Sequence[EncodedPrompt],
    encoder: PromptEncoder,
    *,
    limit: int,
    stop_ids: Sequence[int],
    rules: Sequence[LogitsProcessor] = (),
    ends: Sequence[StoppingCriteria] = (),
) -> list[list[int]]:
    """Write the likeliest token after each of B prompts, and again, with keys and values of what was read kept.

    Args:
        model: in evaluation mode.
        prompts: B encoded prompts.
        encoder: that encoded them.
        limit: of tokens.
        stop_ids: tokens that end a row.
        rules: change the scores by which tokens are chosen.
        ends: say which rows have ended besides.

    Returns:
        [B] token ids, up to the longest; what stands behind a row's end is padding.

    Raises:
        ModelError: a score isn't a finite number, or the rules leave no token.
    """
    batch = to_device(pad_prompts(prompts, encoder.filler_id), model.device)
    written: Tensor = model.llm.generate(
        inputs_embeds=model.embed(batch["input_ids"], batch["slot_mask"], batch["slot_items"]),
        attention_mask=batch["attention_mask"],
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=list(stop_ids),
        pad_token_id=encoder.eos_id,
        logits_processor=LogitsProcessorList([*rules, _FiniteOnly()]),
        stopping_criteria=StoppingCriteriaList(ends),
    )
    return written.tolist()


class _FiniteOnly(LogitsProcessor):
    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        require_finite(scores.amax(dim=-1))  # a model's own settings may forbid tokens through −inf
        return scores
