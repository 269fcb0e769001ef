"""Asking for titles: a prompt with candidates for each set, answered by scoring or by generation."""

from llara_core.hybrid.questions import encode_questions
from llara_core.objectives.answer.asking import ask
from llara_core.objectives.asking import Advance, Respondent, Tuned, ignore
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import Predictions


class AnswerRespondent(Respondent):
    """The language model as it is."""

    def __init__(self, tuned: Tuned) -> None:
        """Take the model."""
        self._tuned = tuned

    def choose(self, sets: CandidateSets) -> CandidateSets:
        """Take the first eval.draws of each example, for each is a prompt."""
        return sets.select(sets.draws < self._tuned.params.draws)

    def answer(self, sets: CandidateSets, advance: Advance = ignore) -> Predictions:
        """Ask with the template of eval.template."""
        tuned = self._tuned
        shown, example = tuned.histories(sets)
        prompts = encode_questions(
            sets, shown[example], tuned.writer, tuned.encoder, template=tuned.params.template, mode=tuned.mode
        )
        return ask(tuned.hybrid, prompts, sets.candidates, tuned.writer, tuned.encoder, tuned.params, advance)
