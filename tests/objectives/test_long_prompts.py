"""A prompt that the model can't read is named, with its length and what to shorten."""

from dataclasses import replace

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from llara_core.errors import ModelError
from llara_core.hybrid.questions import encode_questions
from llara_core.objectives.answer.prompts import AnswerPlan
from llara_core.objectives.choice.plan import ChoicePlan
from llara_core.objectives.prompt_plan import PromptSettings
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.sequences.windows import Examples, histories, of_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.sequences import Sequences

ADVICE = r"must have ≤ 9 tokens for this model, got \d\d; lower split.history_length or candidates.size, or shorten"


@pytest.mark.parametrize("kind", [AnswerPlan, ChoicePlan])
def test_a_training_prompt(
    kind: type[AnswerPlan | ChoicePlan],
    sequences: Sequences,
    settings: PromptSettings,
    writer: PromptWriter,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    only = Examples(np.array([1]), np.array([3]))
    plan = kind(
        sequences,
        only,
        8,
        PromptWriter(("{history}{candidates}",), ", ", {}, writer.titles),
        PromptEncoder(tokenizer, 9),
        replace(settings, schedule="hybrid_only"),
    )
    with pytest.raises(ModelError, match=f"the prompt for item 4 of user {sequences.user_ids[1]} {ADVICE}"):
        plan[0]


def test_a_stored_set(sequences: Sequences, writer: PromptWriter, tokenizer: PreTrainedTokenizerFast) -> None:
    row = np.array([0], dtype=np.int32)
    user, target = sequences.user_ids[:1], sequences.items_of(0)[2:3]
    names = (np.array([name], dtype=object) for name in ("test", "last"))
    sets = CandidateSets(row, row + 4, user, *names, row + 2, target, np.array([[1, 2, 3]]))
    shown = histories(sequences, of_candidate_sets(sequences, sets), 3)
    with pytest.raises(ModelError, match=f"the test prompt of user {user[0]} at position 2, draw 4, {ADVICE}"):
        encode_questions(sets, shown, writer, PromptEncoder(tokenizer, 9), template=0, mode="hybrid")
