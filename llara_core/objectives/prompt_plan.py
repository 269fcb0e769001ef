"""Steps of prompts with candidates: who is asked, among which candidates, in the words of which template."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np

from llara_core.errors import DataError
from llara_core.objectives.step_plan import Example, Planned, StepPlan, StepSettings, step_settings
from llara_core.params.objectives import Recipe
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Mode, PromptWriter
from llara_core.sequences.negatives import draw_candidates, items_never_negative, negative_weights
from llara_core.sequences.random_words import random_integers, random_words
from llara_core.sequences.windows import Examples, all_positions, histories, targets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.sequences import SPLITS, Sequences

_TEMPLATE = 0x54656D70  # "Temp": a stream of random words


@dataclass(frozen=True)
class PromptSettings(StepSettings):
    """What prompts depend on besides the data.

    Attributes:
        n_candidates: candidates per prompt, the target among them.
        negatives: rule for negatives, as in candidates.negatives; under `hard` they are those of `outside_history`.
        smoothing: of popularity, where negatives are drawn by it.
        history_length: latest items shown.
    """

    n_candidates: int
    negatives: str
    smoothing: float
    history_length: int


class PromptPlan(StepPlan[Question, Example]):
    """Prompts with candidates.

    The length of a prompt is taken as the sum of its parts' tokens, so that none but the one that is read need be
    tokenised; the true length differs where a tokenizer joins the end of a title with what follows.
    """

    settings: PromptSettings

    def __init__(
        self,
        sequences: Sequences,
        examples: Examples,
        n_items: int,
        writer: PromptWriter,
        encoder: PromptEncoder,
        settings: PromptSettings,
    ) -> None:
        """Plan over the given training `examples` of `sequences`.

        Raises:
            DataError: there are none, or one of them isn't for training.
        """
        if not len(examples):
            raise DataError("split.min_history must leave training examples, got none")
        if (held_out := examples.positions >= sequences.train_end[examples.rows]).any():
            row, position = (int(part[np.argmax(held_out)]) for part in (examples.rows, examples.positions))
            raise DataError(
                f"training examples must lie before their user's train_end {sequences.train_end[row]}, "
                f"got position {position} of user {sequences.user_ids[row]}"
            )
        super().__init__(len(examples), settings)
        self._sequences, self._examples, self._n_items = sequences, examples, n_items
        self._weights = negative_weights(sequences, n_items, settings.negatives, settings.smoothing)
        self._writer, self._encoder = writer, encoder
        self._template_lengths = np.array([self._template_length(i) for i in range(len(writer.templates))])

    def examples_of(self, step: int) -> Examples:
        """[B] what step 1..n_steps is asked, in the order of drawing."""
        _, chosen = self._choose(step)
        return Examples(self._examples.rows[chosen], self._examples.positions[chosen])

    def _draw_step(self, step: int) -> list[Planned[Question]]:
        (passes, chosen), modes = self._choose(step), self.modes_of(step)
        settings, sequences = self.settings, self._sequences
        batch = self.examples_of(step)
        goals = targets(sequences, batch)
        excluded = items_never_negative(sequences, batch, "train", settings.negatives, settings.history_length)
        keys = (np.full(len(chosen), SPLITS.index("train")), passes, chosen)
        size = settings.n_candidates
        candidates = draw_candidates(settings.seed, keys, goals, excluded, self._n_items, size, self._weights)
        words = random_words(settings.seed, _TEMPLATE, passes, chosen)
        templates = random_integers(words, len(self._writer.templates))
        shown = histories(sequences, batch, settings.history_length)
        items = np.column_stack([shown, candidates, goals])
        lengths = self._template_lengths[templates] + self._listed_lengths(items, modes)
        questions = [
            Question(
                int(templates[i]),
                shown[i][shown[i] != PADDING_ID].tolist(),
                candidates[i].tolist(),
                int(goals[i]),
                f"the prompt for item {batch.positions[i] + 1} of user {sequences.user_ids[batch.rows[i]]}",
            )
            for i in range(len(chosen))
        ]
        return [Planned(questions[i], modes[i]) for i in np.argsort(lengths, kind="stable")]

    def _listed_lengths(self, items: np.ndarray, modes: Sequence[Mode]) -> np.ndarray:
        """[B] tokens of items [B, N] as prompts of `modes` [B] show them, each with one that divides it from the next.

        Padding has none.
        """
        used, places = np.unique(items, return_inverse=True)
        lengths = {mode: self._shown_lengths(used, mode) for mode in set(modes)}
        rows = zip(modes, places.reshape(items.shape), strict=True)
        return np.array([lengths[mode][row].sum() for mode, row in rows])

    def _shown_lengths(self, items: np.ndarray, mode: Mode) -> np.ndarray:
        titles = [1 if mode == "id" else len(self._encoder.encode_answer(self._writer.answer(int(i)))) for i in items]
        has_slot_behind = mode != "text" and self._writer.fusion == "append"
        return np.where(items == PADDING_ID, 0, np.array(titles) + has_slot_behind)

    def _template_length(self, template: int) -> int:
        """Tokens of a prompt of one and the same item: only the template makes a difference."""
        return len(self._encoder.encode(self._writer.compose(template, [1], [1], "text")).input_ids)

    @classmethod
    def of(
        cls, params: Params, recipe: Recipe, sequences: Sequences, writer: PromptWriter, encoder: PromptEncoder
    ) -> Self:
        """Plan what the params and a recipe ask for over all training positions with enough history."""
        settings = PromptSettings(
            **asdict(step_settings(params, recipe)),
            n_candidates=params.candidates.size,
            negatives=params.candidates.negatives,
            smoothing=params.candidates.popularity.smoothing,
            history_length=params.split.history_length,
        )
        examples = all_positions(sequences, "train", params.split.min_history)
        return cls(sequences, examples, len(writer.titles) - 1, writer, encoder, settings)
