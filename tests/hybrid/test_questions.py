import re

import pytest
from transformers import PreTrainedTokenizerFast

from llara_core.hybrid.questions import encode_questions
from llara_core.params.params import Params
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from llara_core.sequences.windows import histories, of_candidate_sets
from tests.factories import make_sequences, make_sets

TITLES = ["", *(f"#{item}" for item in range(1, 10))]
SEQUENCES = make_sequences([[1, 2, 3], [4, 5], [6, 7, 8, 9, 1]], ["train", "validation", "validation"])
SETS = make_sets(
    example_ids=[0, 1],
    draws=[0, 0],
    user_ids=[3, 2],
    split="validation",
    positions=[4, 1],
    targets=[1, 5],
    candidates=[[3, 1, 2], [9, 5, 4]],
)
SHOWN = [[7, 8, 9, 3, 1, 2], [4, 9, 5, 4]]  # the last three items before the target, then the candidates as stored


@pytest.fixture
def writer(params: Params) -> PromptWriter:
    return PromptWriter.of(params.prompt, params.fusion, params.datasets["ml-100k"].nouns, TITLES)


def _ask(writer: PromptWriter, encoder: PromptEncoder, template: int, mode: Mode) -> list[EncodedPrompt]:
    shown = histories(SEQUENCES, of_candidate_sets(SEQUENCES, SETS), 3)
    return encode_questions(SETS, shown, writer, encoder, template=template, mode=mode)


@pytest.mark.parametrize("mode", ["hybrid", "text", "id"])
def test_a_question_shows_the_user_s_last_items_and_the_stored_candidates(
    writer: PromptWriter, encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast, mode: Mode
) -> None:
    questions = _ask(writer, encoder, 0, mode)
    assert [question.slot_items for question in questions] == ([[], []] if mode == "text" else SHOWN)
    for question, items in zip(questions, SHOWN, strict=True):
        assert [int(number) for number in re.findall(r"#(\d)", tokenizer.decode(question.input_ids))] == (
            [] if mode == "id" else items
        )


@pytest.mark.parametrize(
    ("template", "beginning"), [(0, "This user has watched"), (1, "Here are the movies"), (2, "#7, #8, #9 — a user")]
)
def test_all_questions_use_the_chosen_template(
    writer: PromptWriter, encoder: PromptEncoder, tokenizer: PreTrainedTokenizerFast, template: int, beginning: str
) -> None:
    question, _ = _ask(writer, encoder, template, "text")
    assert tokenizer.decode(question.input_ids).startswith(beginning)
