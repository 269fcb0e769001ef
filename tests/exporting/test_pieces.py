"""Pieces, joined as the scripts join them, are the prompts that the project's own encoder makes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from llara_core.errors import ArtifactError
from llara_core.exporting.pieces import answer_pieces, history_pieces, prompt_pieces
from llara_core.prompting.chat import chat_frame
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from tests.conftest import TITLES
from tests.factories import SENTENCEPIECE, make_chat_tokenizer, make_sentencepiece

FUSIONS = ("append", "replace", "add", "gate")
SHOWN = [*(("hybrid", fusion) for fusion in FUSIONS), ("text", "append"), ("id", "append")]
HISTORY_FIRST, CANDIDATES_FIRST = "{history} — then? {candidates}", "{n_candidates} of {candidates}; after {history}."
items = st.integers(1, len(TITLES) - 1)


def _encoders(tokenizer: PreTrainedTokenizerFast) -> list[PromptEncoder]:
    chat = make_chat_tokenizer(tokenizer)
    others: list[PreTrainedTokenizerBase] = [make_sentencepiece(style) for style in SENTENCEPIECE]
    plain = [PromptEncoder(own, 1024) for own in (tokenizer, *others)]
    return [*plain, PromptEncoder(chat, 1024, chat_frame(chat))]


@pytest.fixture(scope="module", params=range(2 + len(SENTENCEPIECE)), ids=["bytes", *SENTENCEPIECE, "chat"])
def own_encoder(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerFast) -> PromptEncoder:
    return _encoders(tokenizer)[request.param]


def _split(pieces: Sequence[tuple[int, list[int]]], end: list[int]) -> EncodedPrompt:
    """Read pieces as docs/exporting.md says it."""
    ids = [token for _, piece in pieces for token in piece] + end
    owners = [item for item, piece in pieces for token in piece if token < 0]
    return EncodedPrompt([~token if token < 0 else token for token in ids], [token < 0 for token in ids], owners)


@pytest.mark.parametrize(("mode", "fusion"), SHOWN)
def test_histories(own_encoder: PromptEncoder, writer: PromptWriter, mode: Mode, fusion: str) -> None:
    own = replace(writer, fusion=fusion)
    first, later = history_pieces(own_encoder, own, mode)["history"]
    if own_encoder.frame is not None:
        return  # a stream has no frame
    reference = HistoryEncoder(own_encoder, TITLES, fusion)

    @settings(max_examples=15, deadline=None)
    @given(history=st.lists(items, min_size=1, max_size=6))
    def check(history: list[int]) -> None:
        joined = [(item, (later if place else first)[item]) for place, item in enumerate(history)]
        found, expected = _split(joined, []), reference.encode(history, mode)
        assert found == expected.prompt
        assert len(found.input_ids) - 1 == expected.readouts[-1]  # where the script reads

    check()


@pytest.mark.parametrize("template", [HISTORY_FIRST, CANDIDATES_FIRST, "A {item} after {history}: {candidates}"])
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize(("mode", "fusion"), SHOWN)
def test_prompts(
    own_encoder: PromptEncoder, writer: PromptWriter, mode: Mode, fusion: str, marked: bool, template: str
) -> None:
    own = replace(writer, fusion=fusion, templates=("{history} or {candidates}?", template))
    if mode == "text" and not marked:
        with pytest.raises(ArtifactError, match="on text alone"):
            prompt_pieces(own_encoder, own, mode, 1, 3, marked=False)
        return
    tables = prompt_pieces(own_encoder, own, mode, 1, 3, marked=marked)
    assert tables["n_candidates"] == (3 if template == CANDIDATES_FIRST else None)

    @settings(max_examples=8, deadline=None)
    @given(history=st.lists(items, min_size=1, max_size=5), candidates=st.lists(items, min_size=3, max_size=3))
    def check(history: list[int], candidates: list[int]) -> None:
        lists = {"history": history, "candidates": candidates}
        named = [
            (name, item, tables[name][i > 0][item]) for name in tables["order"] for i, item in enumerate(lists[name])
        ]
        found = _split([(item, piece) for _, item, piece in named], tables["end"])
        segments = own.compose(1, history, candidates, mode, marked=marked)
        expected, marks = own_encoder.encode_marked(segments)
        assert found == expected
        if marked:  # where the script reads candidates: at the ends of their pieces
            lengths = [len(piece) for _, _, piece in named]
            ends = [sum(lengths[: i + 1]) - 1 for i, (name, _, _) in enumerate(named) if name == "candidates"]
            start = 0 if tables["order"][0] == "candidates" else len(history)
            assert ends == marks[start : start + 3]

    check()


def test_answers(own_encoder: PromptEncoder, writer: PromptWriter) -> None:
    found = answer_pieces(own_encoder, writer)
    assert found[0] == []
    assert found[1:] == [own_encoder.encode_answer(writer.answer(item)) for item in range(1, len(TITLES))]
