"""Letting the model write its answer, as the official code does, but padded on the left and stopped at the end."""

from collections.abc import Sequence

import torch

from llara_core.hybrid.batching import pad_prompts
from llara_core.hybrid.model import HybridCausalLM
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder


@torch.no_grad()
def generate_answers(
    model: HybridCausalLM, prompts: Sequence[EncodedPrompt], encoder: PromptEncoder, max_new_tokens: int
) -> list[str]:
    """Greedily decode one answer per prompt.

    Decoding stops at the end-of-text token, at a line's end, or after `max_new_tokens`, which should be the length of
    the longest candidate: nothing longer can be an exact answer.
    """
    batch = {name: tensor.to(model.device) for name, tensor in pad_prompts(prompts, encoder.filler_id).items()}
    generated = model.llm.generate(
        inputs_embeds=model.embed(batch["input_ids"], batch["slot_mask"], batch["slot_items"]),
        attention_mask=batch["attention_mask"],
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=encoder.stop_ids,
        pad_token_id=encoder.eos_id,
    )
    return [encoder.decode(ids.tolist()) for ids in generated]
