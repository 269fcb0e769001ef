"""Training on choices: prompts in both modes, maps that start at the recommender's vectors, HitRatio@1 watched."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from llara_core.errors import DataError
from llara_core.hybrid.batching import to_device
from llara_core.objectives.choice.model import ChoiceModel
from llara_core.objectives.choice.plan import ChoicePlan
from llara_core.objectives.choice.prompts import ChoicePrompt, encode_choice, pad_choices
from llara_core.objectives.numbers import require_finite
from llara_core.objectives.objective import Objective, Sources, evaluating, lora_and_projector
from llara_core.params.objectives import Choice
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Mode
from llara_core.runtime.compute import autocast
from llara_core.runtime.logs import LOGGER
from llara_core.sequences.negatives import draw_candidates, items_never_negative, negative_weights
from llara_core.sequences.windows import Examples, all_positions, histories, targets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.sequences import SPLITS

_DRAW = 0x43686F69  # "Choi": keeps these lists apart from the stored ones of the same examples


class ChoiceObjective(Objective[ChoicePrompt]):
    """A model that points at one of a prompt's candidates."""

    watched = "hit_ratio_at_1"

    def __init__(self, sources: Sources) -> None:
        """Plan the prompts, and fit the maps to the untrained language model's states."""
        params = sources.params
        self.recipe: Choice = params.objectives.choice
        self._filler_id, self._precision = sources.encoder.filler_id, params.train.precision
        self.plan = ChoicePlan.of(params, self.recipe, sources.tables.sequences, sources.writer, sources.encoder)
        self._writer, self._encoder = sources.writer, sources.encoder
        drawn = validation_prompts(sources, self.recipe.validation.positions)
        self._validation = [self._encode(prompt, self.plan.last_mode) for prompt in drawn]
        self.model: ChoiceModel = ChoiceModel(sources.hybrid(), sources.recommender, self.recipe.distillation)
        explained = self._fit_maps()
        LOGGER.info(
            "the maps start with R² %.3f of the recommender's user states, %.3f of its item vectors", *explained
        )

    def collate(self, examples: Sequence[ChoicePrompt]) -> dict[str, Tensor]:
        """Stack prompts, as `pad_choices` does."""
        return pad_choices(examples, self._filler_id)

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """LoRA's weights, the projector's, and the maps'."""
        maps = list(self.model.maps.parameters())
        return [*lora_and_projector(self.model.hybrid, self.recipe), (maps, self.recipe.head_lr)]

    @property
    def head(self) -> Mapping[str, Tensor]:
        """The maps into the recommender's space."""
        return self.model.maps.state_dict()

    @torch.no_grad()
    def validate(self) -> float:
        """Share of validation prompts whose target has the best score; ties count against it.

        Raises:
            ModelError: a score isn't a finite number.
        """
        hits = 0
        with evaluating(self.model):
            for batch, ends, places in self._read(self._validation):
                scores = self.model.maps(ends, places)
                require_finite(scores)
                own = scores.gather(1, batch["labels"][:, None])
                hits += int(((scores >= own).sum(dim=1) == 1).sum())
        return hits / len(self._validation)

    @torch.no_grad()
    def _fit_maps(self) -> tuple[float, float]:
        """Fit the maps on the plan's first prompts, in turn in all its modes; returns R² of users and of items."""
        self.model.eval()
        drawn = [self.plan.drawn(index) for index in range(min(len(self.plan), self.recipe.ridge.positions))]
        modes = self.plan.modes
        prompts = [self._encode(prompt, modes[index % len(modes)]) for index, prompt in enumerate(drawn)]
        read = list(self._read(prompts))
        taught = [self.model.teach(batch["history"], batch["candidates"]) for batch, _, _ in read]
        users = torch.cat([ends for _, ends, _ in read]), torch.cat([states for states, _ in taught])
        items = torch.cat([places for _, _, places in read]), torch.cat([vectors for _, vectors in taught])
        maps, penalty = self.model.maps, self.recipe.ridge.penalty
        return maps.user.fit(*users, penalty), maps.item.fit(items[0].flatten(0, 1), items[1].flatten(0, 1), penalty)

    def _encode(self, drawn: Question, mode: Mode) -> ChoicePrompt:
        return encode_choice(drawn, mode, self._writer, self._encoder)

    def _read(self, prompts: Sequence[ChoicePrompt]) -> Iterator[tuple[dict[str, Tensor], Tensor, Tensor]]:
        """Yield batches of prompts with the language model's states at their ends [B, H] and candidates [B, C, H]."""
        for start in range(0, len(prompts), self.recipe.rows):
            batch = self.collate(prompts[start : start + self.recipe.rows])
            batch = to_device(batch, self.model.hybrid.device)
            names = ("input_ids", "slot_mask", "slot_items", "ends", "places")
            with autocast(self._precision):
                ends, places = self.model.read(*(batch[name] for name in names))
            yield batch, ends.float(), places.float()


def validation_prompts(sources: Sources, n_positions: int) -> list[Question]:
    """Ask about `n_positions` of the validation users' positions, evenly spread, or all if there are fewer.

    Raises:
        DataError: there are none.
    """
    params, sequences = sources.params, sources.tables.sequences
    split, length, template = params.split, params.split.history_length, params.eval.template
    known = all_positions(sequences, "validation", split.min_history)
    if not len(known):
        raise DataError(f"split.validation must hold a position with {split.min_history} items before it, got none")
    chosen = np.linspace(0, len(known) - 1, min(len(known), n_positions)).round().astype(int)
    asked = Examples(known.rows[chosen], known.positions[chosen])
    goals = targets(sequences, asked)
    rule, n_items = params.candidates.negatives, len(sources.tables.items)
    excluded = items_never_negative(sequences, asked, "validation", rule, length)
    weights = negative_weights(sequences, n_items, rule, params.candidates.popularity.smoothing)
    keys = (np.full(len(chosen), SPLITS.index("validation")), np.full(len(chosen), _DRAW), chosen)
    offered = draw_candidates(params.seed, keys, goals, excluded, n_items, params.candidates.size, weights)
    return [
        Question(template, history[history != PADDING_ID].tolist(), row.tolist(), int(target), f"validation prompt {i}")
        for i, history, row, target in zip(chosen, histories(sequences, asked, length), offered, goals, strict=True)
    ]
