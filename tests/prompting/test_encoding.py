import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from llara_core.errors import ModelError
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import ItemSlot, Segment, Text

SEGMENTS = st.lists(
    st.one_of(st.builds(Text, st.text(max_size=12)), st.builds(ItemSlot, st.integers(1, 8))), max_size=12
)


@given(SEGMENTS)
def test_mask_items_and_ids_agree(encoder: PromptEncoder, segments: list[Segment]) -> None:
    encoded = encoder.encode(segments)
    assert len(encoded.slot_mask) == len(encoded.input_ids)
    assert encoded.slot_items == [part.item_id for part in segments if isinstance(part, ItemSlot)]
    assert sum(encoded.slot_mask) == len(encoded.slot_items)
    slots = [token for token, is_slot in zip(encoded.input_ids, encoded.slot_mask, strict=True) if is_slot]
    assert set(slots) <= {encoder.filler_id}


def test_a_text_is_encoded_as_the_tokenizer_does(encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast) -> None:
    text = "This user has watched Toy Story, Heat. Answer:"
    assert encoder.encode([Text(text)]).input_ids == tokenizer(text, add_special_tokens=False).input_ids


def test_a_slot_stands_between_the_tokens_of_its_neighbours(
    encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast
) -> None:
    before, after = (tokenizer(text).input_ids for text in ("Heat", ", Babe"))
    encoded = encoder.encode([Text("Heat"), ItemSlot(6), Text(", Babe")])
    assert encoded.input_ids == [*before, encoder.filler_id, *after]
    assert encoded.slot_mask == [False] * len(before) + [True] + [False] * len(after)


def test_answers_end_with_the_end_of_text_and_decode_back(encoder: PromptEncoder) -> None:
    ids = encoder.encode_answer(Text(" Four Rooms"))
    assert ids[-1] == encoder.eos_id
    assert ids.count(encoder.eos_id) == 1
    assert encoder.decode([*ids, *ids]) == "Four Rooms"


def test_decoding_stops_at_a_line_end(encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast) -> None:
    assert encoder.decode(tokenizer(" Heat\nBabe").input_ids) == "Heat"


def test_a_prompt_longer_than_the_model_reads_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ModelError, match="must have ≤ 3 tokens for this model, got 4"):
        PromptEncoder(tokenizer, max_length=3).encode([ItemSlot(1)] * 4)


def _words(**special: str) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordLevel({"a": 0, "<s>": 1, "</s>": 2, "▁a": 3}, unk_token="a"))  # noqa: S106
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


def test_a_tokenizer_without_a_token_that_can_fill_slots_is_refused() -> None:
    with pytest.raises(ModelError, match="must have a pad, unk or eos token to fill slots, got none"):
        PromptEncoder(_words(), max_length=10)


def test_a_tokenizer_without_an_end_of_text_token_is_refused() -> None:
    with pytest.raises(ModelError, match="must have an end-of-text token"):
        PromptEncoder(_words(unk_token="a"), max_length=10)  # noqa: S106


def test_tokenizers_that_add_a_space_get_no_second_one() -> None:
    encoder = PromptEncoder(_words(eos_token="</s>"), max_length=10)  # noqa: S106
    assert encoder.encode([Text(" a")]).input_ids == encoder.encode([Text("a")]).input_ids == [3]
