"""The prompts of stored candidate sets, as validation and evaluation ask them: one fixed template."""

from collections.abc import Sequence

import numpy as np

from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Item, Mode, PromptWriter
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID


def stored_questions(sets: CandidateSets, shown: np.ndarray, template: int) -> list[Question]:
    """Return one question for each of R candidate sets, after the histories `shown` [R, L], padded on the left."""
    return [
        Question(template, history[history != PADDING_ID].tolist(), row.tolist(), int(target), name)
        for history, row, target, name in zip(shown, sets.candidates, sets.targets, sets.names(), strict=True)
    ]


def encode_questions(
    sets: CandidateSets, shown: np.ndarray, writer: PromptWriter, encoder: PromptEncoder, *, template: int, mode: Mode
) -> list[EncodedPrompt]:
    """Return one encoded prompt for each of R candidate sets, after the histories `shown` [R, L]."""
    return put_into_tokens(stored_questions(sets, shown, template), writer, encoder, mode)


def free_questions(histories: Sequence[Sequence[Item]], candidates: np.ndarray, template: int) -> list[Question]:
    """Return a question for each of R histories, among candidates [R, C]; the target, which nobody knows, is the first.

    They needn't be those of anybody's sequence.
    """
    return [
        Question(template, history, row.tolist(), int(row[0]), f"the prompt with a history of {len(history)} items")
        for history, row in zip(histories, candidates, strict=True)
    ]


def put_into_tokens(
    questions: Sequence[Question], writer: PromptWriter, encoder: PromptEncoder, mode: Mode
) -> list[EncodedPrompt]:
    """Return one encoded prompt for each question."""
    return [
        encoder.encode(writer.compose(asked.template, asked.history, asked.candidates, mode), asked.name)
        for asked in questions
    ]
