"""Asking for choices: a prompt with candidates for each set, whose scores are a pointer's."""

import numpy as np
import torch
from tqdm import tqdm

from llara_core.objectives.asking import Respondent, Tuned, load_head
from llara_core.objectives.choice.model import ChoiceModel
from llara_core.objectives.choice.prompts import ChoicePrompt, encode_choice, pad_choices
from llara_core.objectives.numbers import require_finite
from llara_core.prompting.question import Question
from llara_core.sequences.windows import histories, of_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID
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

    @torch.no_grad()
    def answer(self, sets: CandidateSets) -> Predictions:
        """Choose the candidate of the highest score, asked with the template of eval.template.

        Prompts of similar length are asked together; each answer depends on its own prompt alone.
        """
        tuned, prompts = self._tuned, self._prompts(sets)
        order = np.argsort([len(prompt.prompt.input_ids) for prompt in prompts], kind="stable")
        scores = np.zeros(sets.candidates.shape)
        with tqdm(total=len(prompts), desc="evaluate (choice)", unit="prompt") as bar:
            for start in range(0, len(order), tuned.params.batch_size):
                part = order[start : start + tuned.params.batch_size]
                batch = pad_choices([prompts[i] for i in part], tuned.encoder.filler_id)
                names = ("input_ids", "slot_mask", "slot_items", "ends", "places")
                states = self.model.read(*(batch[name].to(tuned.hybrid.device) for name in names))
                found = self.model.maps(*states)
                require_finite(found)
                scores[part] = found.cpu().numpy()
                bar.update(len(part))
        matched = np.take_along_axis(sets.candidates, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
        return Predictions([tuned.writer.titles[item] for item in matched], matched.astype(np.int32), scores)

    def _prompts(self, sets: CandidateSets) -> list[ChoicePrompt]:
        tuned = self._tuned
        sequences, template = tuned.tables.sequences, tuned.params.template
        shown = histories(sequences, of_candidate_sets(sequences, sets), tuned.manifest.history_length)
        drawn = [
            Question(template, history[history != PADDING_ID].tolist(), row.tolist(), int(target), name)
            for history, row, target, name in zip(shown, sets.candidates, sets.targets, sets.names(), strict=True)
        ]
        return [encode_choice(prompt, tuned.mode, tuned.writer, tuned.encoder) for prompt in drawn]
