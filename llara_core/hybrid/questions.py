"""The prompts of stored candidate sets, as validation and evaluation ask them: one fixed template."""

from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from llara_core.sequences.windows import histories, of_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.sequences import Sequences


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
    shown = histories(sequences, of_candidate_sets(sequences, sets), history_length)
    return [
        encoder.encode(writer.compose(template, history[history != PADDING_ID].tolist(), row.tolist(), mode), name)
        for history, row, name in zip(shown, sets.candidates, sets.names(), strict=True)
    ]
