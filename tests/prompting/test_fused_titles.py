"""Titles whose tokens are slots themselves: the tokens of a prompt with slots behind titles, less those slots."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import FusedTitle, ItemSlot, LineEnd, PromptWriter, Text
from tests.conftest import TITLES
from tests.factories import SENTENCEPIECE, make_sentencepiece

IN_PLACE = ("replace", "add", "gate")
_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="▁\n"), min_size=1).filter(lambda t: t == t.strip())


def _encoders(tokenizer: PreTrainedTokenizerFast) -> list[PromptEncoder]:
    return [
        PromptEncoder(tokenizer, 4096),
        *(PromptEncoder(make_sentencepiece(style), 4096) for style in SENTENCEPIECE),
    ]


def test_titles_are_cut_out_of_the_words_before_them(writer: PromptWriter) -> None:
    own = replace(writer, templates=("Of {history} then {candidates}.",))
    for fusion in IN_PLACE:
        assert replace(own, fusion=fusion).compose(0, [6, 4], [1], "hybrid") == [
            FusedTitle("Of Heat", 3, 6),
            FusedTitle(", Alien", 2, 4),
            FusedTitle(" then Toy Story", 6, 1),
            Text("."),
        ]
        assert replace(own, fusion=fusion).compose(0, [6], [1], "text") == own.compose(0, [6], [1], "text")
        assert replace(own, fusion=fusion).compose(0, [6], [1], "hybrid", marked=True) == [
            FusedTitle("Of Heat", 3, 6),
            LineEnd(),
            FusedTitle(" then Toy Story", 6, 1),
            LineEnd(),
            Text("."),
        ]


def test_marks_stand_behind_items_in_every_mode(writer: PromptWriter) -> None:
    own = replace(writer, templates=("{history}/{candidates}",))
    assert own.compose(0, [6], [1], "text", marked=True) == [Text("Heat"), LineEnd(), Text("/Toy Story"), LineEnd()]
    for mode in ("hybrid", "id"):
        assert own.compose(0, [6], [1], mode, marked=True) == own.compose(0, [6], [1], mode)


def test_the_tokens_are_those_of_appended_slots_without_the_slots(
    tokenizer: PreTrainedTokenizerFast, writer: PromptWriter
) -> None:
    for encoder in _encoders(tokenizer):
        for template in range(len(writer.templates)):
            appended = encoder.encode(writer.compose(template, [1, 5, 1], [6, 2], "hybrid"))
            fused = encoder.encode(replace(writer, fusion="add").compose(template, [1, 5, 1], [6, 2], "hybrid"))
            kept = [token for token, slot in zip(appended.input_ids, appended.slot_mask, strict=True) if not slot]
            assert fused.input_ids == kept
            assert list(dict.fromkeys(fused.slot_items)) == [1, 5, 6, 2]


def test_the_slots_are_the_title_s_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    encoder = PromptEncoder(tokenizer, 1024)
    words = [Text("watched Four Rooms and"), FusedTitle("has watched Four Rooms", 12, 3), Text(", Heat")]
    encoded = encoder.encode(words)
    slots = [token for token, slot in zip(encoded.input_ids, encoded.slot_mask, strict=True) if slot]
    assert tokenizer.decode(slots).strip() == "Four Rooms"
    assert encoded.slot_items == [3] * len(slots)
    first = encoded.slot_mask.index(True)
    assert encoded.slot_mask[first : first + len(slots)] == [True] * len(slots)


@given(before=st.text(max_size=8), title=_WORDS, after=_WORDS)
def test_a_token_with_any_byte_of_the_title_is_a_slot_and_no_other(
    encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast, before: str, title: str, after: str
) -> None:
    encoded = encoder.encode([FusedTitle(before + title, len(before), 7), ItemSlot(5), Text(after)])
    tokens = tokenizer.convert_ids_to_tokens(encoded.input_ids)  # a letter for each byte
    ends = list(itertools.accumulate(map(len, tokens)))
    start, end = len(before.encode()), len((before + title).encode())
    title_slots = [start < place <= end for place in ends]
    assert encoded.slot_items == [7] * sum(title_slots) + [5]
    behind = ends.index(end) + 1
    assert encoded.slot_mask == [slot or place == behind for place, slot in enumerate(title_slots)]


@given(before=st.text(max_size=8), title=_WORDS)
def test_sentencepiece_s_slots_are_the_tokens_in_which_the_title_is_read(before: str, title: str) -> None:
    for tokenizer, encoder in ENCODERS:
        encoded = encoder.encode([FusedTitle(before + title, len(before), 7)])
        count = encoded.slot_items.count(7)
        assert encoded.input_ids == encoder.encode([Text(before + title)]).input_ids
        n = len(encoded.slot_mask)
        assert encoded.slot_mask == [place >= n - count for place in range(n)]
        whole, less = (tokenizer.decode(encoded.input_ids[n - length :]) for length in (count, count - 1))
        assert whole.endswith(title) or "\ufffd" in whole
        assert count == 1 or not less.endswith(title)
        assert tokenizer.convert_ids_to_tokens(encoded.input_ids)[n - count] != "▁"  # which is no letter of the title


ENCODERS = [(tokenizer, PromptEncoder(tokenizer, 4096)) for tokenizer in map(make_sentencepiece, SENTENCEPIECE)]


@pytest.mark.parametrize("fusion", IN_PLACE)
def test_histories_are_read_at_line_ends_behind_fused_titles(
    encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast, fusion: str
) -> None:
    found = HistoryEncoder(encoder, TITLES, fusion).encode([6, 4, 6], "hybrid")
    text = HistoryEncoder(encoder, TITLES, "append").encode([6, 4, 6], "text")
    assert found.prompt.input_ids == text.prompt.input_ids
    assert found.readouts == text.readouts
    assert [place for place, slot in enumerate(found.prompt.slot_mask) if not slot] == found.readouts
    lengths = [len(tokenizer(TITLES[item]).input_ids) for item in (6, 4, 6)]
    assert found.prompt.slot_items == [item for item, n in zip((6, 4, 6), lengths, strict=True) for _ in range(n)]
