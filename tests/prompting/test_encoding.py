import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from llara_core.errors import ModelError
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import ItemSlot, Segment, Text
from tests.factories import SENTENCEPIECE, make_sentencepiece

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


def test_tokens_with_a_line_s_end_in_them_stop_an_answer() -> None:
    # In a byte-level vocabulary Ċ is the line's end; the word "<0x0A>" is only a word there.
    core = Tokenizer(models.BPE({"<eos>": 0, "H": 1, "Ċ": 2, "ĊĊ": 3, ".Ċ": 4, "<0x0A>": 5, "ĠĊ": 6}, []))
    core.decoder = decoders.ByteLevel()
    encoder = PromptEncoder(PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>"), 10)  # noqa: S106
    assert encoder.stop_ids == [0, 2, 3, 4, 6]


def test_a_line_s_end_inside_a_token_ends_the_answer_there() -> None:
    core = Tokenizer(models.BPE({"<eos>": 0, "H": 1, "i": 2, "!Ċ": 3, "ĊĊ": 4}, []))
    core.decoder = decoders.ByteLevel()
    encoder = PromptEncoder(PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>"), 10)  # noqa: S106
    assert encoder.stop_ids == [0, 3, 4]
    assert encoder.decode([1, 2, 3, 1, 2]) == "Hi!"
    assert encoder.decode([1, 2, 4, 1, 2]) == "Hi"


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


def test_a_tokenizer_that_is_not_of_the_tokenizers_library_is_refused() -> None:
    with pytest.raises(ModelError, match="must be one of the tokenizers library .*, got ByT5Tokenizer"):
        PromptEncoder(ByT5Tokenizer(), max_length=10)


def _tokens(tokenizer: PreTrainedTokenizerFast, segments: list[Segment]) -> list[str]:
    return tokenizer.convert_ids_to_tokens(PromptEncoder(tokenizer, max_length=100).encode(segments).input_ids)


@pytest.mark.parametrize("style", SENTENCEPIECE)
def test_sentencepiece_puts_its_space_before_a_prompt_s_first_text_alone(style: str) -> None:
    tokenizer = make_sentencepiece(style)
    slot = tokenizer.unk_token
    assert _tokens(
        tokenizer, [Text("Heat"), ItemSlot(6), Text(", Heat: Heat"), ItemSlot(6), Text("."), Text("Heat")]
    ) == ["<s>", "▁Heat", slot, ",", "▁Heat", ":", "▁Heat", slot, ".", "Heat"]
    assert _tokens(tokenizer, [ItemSlot(6), Text("Heat")]) == ["<s>", slot, "Heat"]
    assert _tokens(tokenizer, [Text("Heat, Heat")]) == tokenizer.convert_ids_to_tokens(
        tokenizer("Heat, Heat").input_ids
    )


@pytest.mark.parametrize("style", SENTENCEPIECE)
def test_a_sentencepiece_answer_is_the_one_of_a_whole_text_and_ends_at_a_line_s_end(style: str) -> None:
    tokenizer = make_sentencepiece(style)
    encoder = PromptEncoder(tokenizer, max_length=100)
    assert tokenizer.convert_ids_to_tokens(encoder.encode_answer(Text(" Heat"))) == ["▁Heat", "</s>"]
    assert tokenizer.convert_ids_to_tokens(encoder.stop_ids) == ["</s>", "<0x0A>"]
    heat, line_end = tokenizer.convert_tokens_to_ids(["▁Heat", "<0x0A>"])
    assert encoder.decode([heat, line_end, heat]) == "Heat"


_TITLES = st.text(st.characters(codec="utf-8", exclude_characters="▁\n"), min_size=1).filter(lambda t: t == t.strip())


@pytest.mark.parametrize("style", SENTENCEPIECE)
@given(title=_TITLES)
def test_sentencepiece_answers_decode_back(style: str, title: str) -> None:
    encoder = _SENTENCEPIECE_ENCODERS[style]
    assert encoder.decode(encoder.encode_answer(Text(f" {title}"))) == title


_SENTENCEPIECE_ENCODERS = {style: PromptEncoder(make_sentencepiece(style), max_length=100) for style in SENTENCEPIECE}


@given(_TITLES)
def test_byte_level_answers_decode_back(encoder: PromptEncoder, title: str) -> None:
    assert encoder.decode(encoder.encode_answer(Text(f" {title}"))) == title


@pytest.mark.parametrize("style", SENTENCEPIECE)
def test_a_title_that_looks_like_a_special_token_is_only_words(style: str) -> None:
    tokenizer = make_sentencepiece(style)
    assert _tokens(tokenizer, [Text("Heat"), ItemSlot(1), Text("</s>Heat")])[3:] == ["<", "/", "s", ">", "Heat"]
    assert "</s>" not in _tokens(tokenizer, [Text("Heat</s>")])


def test_a_byte_level_tokenizer_s_own_leading_space_stands_before_the_first_text_alone() -> None:
    core = Tokenizer(models.BPE({"<eos>": 0, "Ġ": 1, "a": 2, ",": 3}, []))
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=True)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")  # noqa: S106
    assert _tokens(tokenizer, [Text("a"), ItemSlot(1), Text(","), Text(" a")]) == ["Ġ", "a", "<eos>", ",", "Ġ", "a"]


class _Watched(str):
    """A text whose end can be seen."""


@pytest.mark.parametrize("is_kept", [False, True])
def test_texts_between_slots_are_remembered_and_whole_prompts_are_not(encoder: PromptEncoder, is_kept: bool) -> None:
    text = _Watched(f"remembered: {is_kept}")
    segments = [Text(text), ItemSlot(1)] if is_kept else [Text(text)]
    encoder.encode(segments)
    trace = weakref.ref(text)
    del text, segments
    gc.collect()
    assert (trace() is not None) == is_kept
