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
from llara_core.tables.sequences import Sequences
from tests.factories import make_curriculum, make_sets

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
        PromptWriter(("{history}{candidates}",), ", ", "append", {}, writer.titles),
        PromptEncoder(tokenizer, 9),
        replace(settings, curriculum=make_curriculum("hybrid_only")),
    )
    with pytest.raises(ModelError, match=f"the prompt for item 4 of user {sequences.user_ids[1]} {ADVICE}"):
        plan[0]


def test_a_stored_set(sequences: Sequences, writer: PromptWriter, tokenizer: PreTrainedTokenizerFast) -> None:
    user, target = int(sequences.user_ids[0]), int(sequences.items_of(0)[2])
    sets = make_sets(
        example_ids=[0], draws=[4], user_ids=[user], positions=[2], targets=[target], candidates=[[1, 2, 3]]
    )
    shown = histories(sequences, of_candidate_sets(sequences, sets), 3)
    with pytest.raises(ModelError, match=f"the test prompt of user {user} at position 2, draw 4, {ADVICE}"):
        encode_questions(sets, shown, writer, PromptEncoder(tokenizer, 9), template=0, mode="hybrid")
