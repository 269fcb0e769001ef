"""The prompts of stored candidate sets, as validation and evaluation ask them: one fixed template."""

from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Mode, PromptWriter
from llara_core.sequences.windows import histories, of_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.sequences import Sequences


def stored_questions(
    sets: CandidateSets, sequences: Sequences, *, template: int, history_length: int
) -> list[Question]:
    """Return one question per candidate set."""
    shown = histories(sequences, of_candidate_sets(sequences, sets), history_length)
    return [
        Question(template, history[history != PADDING_ID].tolist(), row.tolist(), int(target), name)
        for history, row, target, name in zip(shown, sets.candidates, sets.targets, sets.names(), strict=True)
    ]


def encode_questions(
    sets: CandidateSets,
    sequences: Sequences,
    writer: PromptWriter,
    encoder: PromptEncoder,
    *,
    template: int,
    history_length: int,
    mode: Mode,
) -> list[EncodedPrompt]:
    """Return one encoded prompt per candidate set."""
    questions = stored_questions(sets, sequences, template=template, history_length=history_length)
    return [
        encoder.encode(writer.compose(asked.template, asked.history, asked.candidates, mode), asked.name)
        for asked in questions
    ]
