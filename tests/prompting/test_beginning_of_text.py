"""A prompt begins as the tokenizer begins a text: with one token for it, or with none."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import ItemSlot, Text


@pytest.mark.parametrize(("template", "beginning"), [("<s> $A", [1]), ("$A", [])])
def test_the_beginning_of_text_stands_once_before_a_prompt_and_never_before_an_answer(
    template: str, beginning: list[int]
) -> None:
    core = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "b": 4}, unk_token="<unk>"))  # noqa: S106
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("<s>", 1)])
    encoder = PromptEncoder(
        PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"),  # noqa: S106
        max_length=10,
    )
    prompt = encoder.encode([Text("a"), ItemSlot(7), Text("b a")])
    assert prompt.input_ids == [*beginning, 3, encoder.filler_id, 4, 3]
    assert prompt.slot_mask == [*([False] * len(beginning)), False, True, False, False]
    assert encoder.encode_answer(Text(" b")) == [4, 2]
