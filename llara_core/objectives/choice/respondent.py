"""Asking for choices: a prompt with candidates for each set, whose scores are a pointer's."""

from collections.abc import Sequence

import numpy as np
import torch

from llara_core.hybrid.batching import to_device
from llara_core.hybrid.questions import free_questions, stored_questions
from llara_core.objectives.asking import Advance, Respondent, Tuned, best_of, ignore, load_head
from llara_core.objectives.choice.model import ChoiceModel
from llara_core.objectives.choice.prompts import encode_choice, pad_choices
from llara_core.objectives.numbers import require_finite
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Item
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import Predictions


class ChoiceRespondent(Respondent):
    """A model that points at one of a prompt's candidates."""

    def __init__(self, tuned: Tuned) -> None:
        """Join the maps to the tuned language model.

        Raises:
            ArtifactError: the maps are missing, or aren't of this language model and this recommender.
        """
        self._tuned = tuned
        self.model = ChoiceModel(tuned.hybrid, tuned.recommender, distillation=0.0).eval()
        load_head(self.model.maps, tuned)

    def choose(self, sets: CandidateSets) -> CandidateSets:
        """Take the first eval.draws of each example, for each is a prompt."""
        return sets.select(sets.draws < self._tuned.params.draws)

    def answer(self, sets: CandidateSets, advance: Advance = ignore) -> Predictions:
        """Choose the candidate of the highest score, asked with the template of eval.template."""
        tuned = self._tuned
        shown, example = tuned.histories(sets)
        questions = stored_questions(sets, shown[example], tuned.params.template)
        return best_of(sets.candidates, self._score(questions, advance), tuned.writer.titles)

    def score_lists(
        self, histories: Sequence[Sequence[Item]], candidates: np.ndarray, advance: Advance = ignore
    ) -> np.ndarray:
        """[R, C] by a prompt each."""
        return self._score(free_questions(histories, candidates, self._tuned.params.template), advance)

    @torch.no_grad()
    def _score(self, questions: Sequence[Question], advance: Advance) -> np.ndarray:
        """[R, C]. Prompts of similar length are asked together; each answer depends on its own prompt alone."""
        tuned = self._tuned
        prompts = [encode_choice(question, tuned.mode, tuned.writer, tuned.encoder) for question in questions]
        order = np.argsort([len(prompt.prompt.input_ids) for prompt in prompts], kind="stable")
        scores = np.zeros((len(prompts), len(prompts[0].candidates) if prompts else 0))
        for start in range(0, len(order), tuned.params.batch_size):
            part = order[start : start + tuned.params.batch_size]
            padded = pad_choices([prompts[i] for i in part], tuned.encoder.filler_id)
            batch = to_device(padded, tuned.hybrid.device)
            names = ("input_ids", "slot_mask", "slot_items", "ends", "places")
            states = self.model.read(*(batch[name] for name in names))
            found = self.model.maps(*states)
            require_finite(found)
            scores[part] = found.cpu().numpy()
            advance(len(part))
        return scores
