import pytest
from transformers import PreTrainedTokenizerFast

from llara_core.errors import ModelError
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from tests.conftest import TITLES
from tests.factories import SENTENCEPIECE, make_sentencepiece


@pytest.fixture
def histories(encoder: PromptEncoder) -> HistoryEncoder:
    return HistoryEncoder(encoder, TITLES, "append")


def test_every_title_is_followed_by_its_slot(
    histories: HistoryEncoder, encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast
) -> None:
    found = histories.encode([6, 4], "hybrid")
    heat, alien = (tokenizer(TITLES[item]).input_ids for item in (6, 4))
    assert found.prompt.input_ids == [*heat, encoder.filler_id, *alien, encoder.filler_id]
    assert found.readouts == [len(heat), len(heat) + 1 + len(alien)]
    assert [place for place, is_slot in enumerate(found.prompt.slot_mask) if is_slot] == found.readouts
    assert found.prompt.slot_items == [6, 4]


def test_in_text_mode_a_line_end_stands_there(
    histories: HistoryEncoder, encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast
) -> None:
    hybrid, text = histories.encode([6, 4, 6], "hybrid"), histories.encode([6, 4, 6], "text")
    assert text.readouts == hybrid.readouts
    assert [text.prompt.input_ids[place] for place in text.readouts] == tokenizer("\n").input_ids * 3
    assert text.prompt.slot_items == []
    assert not any(text.prompt.slot_mask)
    others = set(range(len(text.prompt.input_ids))) - set(text.readouts)
    assert all(text.prompt.input_ids[place] == hybrid.prompt.input_ids[place] for place in others)


@pytest.mark.parametrize("mode", ["hybrid", "text"])
@pytest.mark.parametrize("style", SENTENCEPIECE)
def test_lengths_are_those_of_later_items(style: str, mode: str) -> None:
    titles = ["", "Heat", "Heat, and Heat", "H"]
    histories = HistoryEncoder(PromptEncoder(make_sentencepiece(style), 1024), titles, "append")
    before = histories.encode([1], mode).prompt.input_ids
    for item in (1, 2, 3):
        longer = histories.encode([1, item], mode).prompt.input_ids
        assert len(longer) - len(before) == histories.lengths[item]
    assert histories.lengths[0] == 0


@pytest.mark.parametrize("fusion", ["append", "add"])
@pytest.mark.parametrize("style", SENTENCEPIECE)
def test_a_history_has_more_tokens_than_its_items_by_no_more_than_is_said(style: str, fusion: str) -> None:
    titles = ["", "Heat", ", Heat", "H"]
    encoder = PromptEncoder(make_sentencepiece(style), 1024)
    histories = HistoryEncoder(encoder, titles, fusion)
    more = {
        len(histories.encode(items, mode).prompt.input_ids) - int(histories.lengths[items].sum())
        for items in ([1], [2], [3], [1, 2], [2, 1], [3, 3, 2])
        for mode in ("hybrid", "text")
    }
    assert histories.most_before == max(more) >= 1  # the beginning of text, and in some styles a space


def test_in_id_mode_behavioural_tokens_stand_alone(histories: HistoryEncoder, encoder: PromptEncoder) -> None:
    found = histories.encode([6, 4, 6], "id")
    assert found.prompt.input_ids == [encoder.filler_id] * 3
    assert found.prompt.slot_mask == [True] * 3
    assert found.prompt.slot_items == [6, 4, 6]
    assert found.readouts == [0, 1, 2]


def test_nothing_can_be_read_of_nothing(histories: HistoryEncoder) -> None:
    with pytest.raises(ModelError, match="a history must have at least one item, got an empty one"):
        histories.encode([], "hybrid")
