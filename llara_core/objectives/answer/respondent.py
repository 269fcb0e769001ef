"""Asking for titles: a prompt with candidates for each set, answered by scoring or by generation."""

from collections.abc import Sequence

import numpy as np

from llara_core.errors import ArtifactError
from llara_core.hybrid.questions import encode_questions, free_questions, put_into_tokens
from llara_core.objectives.answer.asking import ask
from llara_core.objectives.asking import Advance, Respondent, Tuned, ignore
from llara_core.prompting.encoding import EncodedPrompt
from llara_core.prompting.segments import Item
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
        return self._ask(prompts, sets.candidates, advance)

    def score_lists(
        self, histories: Sequence[Sequence[Item]], candidates: np.ndarray, advance: Advance = ignore
    ) -> np.ndarray:
        """[R, C] likelihoods of titles, by a prompt each."""
        tuned = self._tuned
        questions = free_questions(histories, candidates, tuned.params.template)
        prompts = put_into_tokens(questions, tuned.writer, tuned.encoder, tuned.mode)
        scores = self._ask(prompts, candidates, advance).scores
        if scores is None:
            raise ArtifactError(f"eval.method must be scoring to have scores, got {tuned.params.method}")
        return scores

    def _ask(self, prompts: Sequence[EncodedPrompt], candidates: np.ndarray, advance: Advance) -> Predictions:
        tuned = self._tuned
        return ask(tuned.hybrid, prompts, candidates, tuned.writer, tuned.encoder, tuned.params, advance)
