"""The prompts of stored candidate sets, as validation and evaluation ask them: one fixed template."""

import numpy as np

from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Mode, PromptWriter
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
    questions = stored_questions(sets, shown, template)
    return [
        encoder.encode(writer.compose(asked.template, asked.history, asked.candidates, mode), asked.name)
        for asked in questions
    ]
