"""Reading histories: one pass over each scores the whole catalogue, and so all of its candidate sets."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from llara_core.hybrid.adapter import ITEM_VECTORS
from llara_core.hybrid.batching import to_device
from llara_core.hybrid.recommender_head import RecommenderHead
from llara_core.objectives.asking import Advance, CatalogueRespondent, Tuned, ignore, load_head
from llara_core.objectives.catalogue import answer_by_catalogue
from llara_core.objectives.stream.batching import pad_histories
from llara_core.objectives.stream.left_out import lay_out
from llara_core.objectives.stream.model import StreamModel
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import Item, Mode
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import PADDING_ID
from llara_core.tables.predictions import Predictions


class StreamRespondent(CatalogueRespondent):
    """A stream model that scores all items after histories."""

    def __init__(self, tuned: Tuned) -> None:
        """Join the head to the tuned language model.

        Raises:
            ArtifactError: the head is missing, or isn't of this language model and this recommender.
        """
        self._tuned = tuned
        weights = dict(tuned.head)
        vectors = weights.pop(ITEM_VECTORS, tuned.recommender.output_weights.detach())
        head = RecommenderHead(tuned.hybrid.width, vectors)
        load_head(head.map, replace(tuned, head=weights))
        head = head.to(tuned.hybrid.device)
        self.model = StreamModel(tuned.hybrid, head, tuned.recommender, distillation=0.0).eval()
        self._encoder = HistoryEncoder(tuned.encoder, tuned.writer.titles, tuned.writer.fusion)

    @property
    def mode(self) -> Mode:
        """How items are shown."""
        return self._tuned.mode

    def choose(self, sets: CandidateSets) -> CandidateSets:
        """Take all: they cost nothing more."""
        return sets

    def answer(self, sets: CandidateSets, advance: Advance = ignore) -> Predictions:
        """Choose the candidate of the highest score, and rank the whole catalogue."""
        tuned = self._tuned
        histories, example = tuned.histories(sets)
        draws = len(sets) // max(len(histories), 1)
        return answer_by_catalogue(
            lambda part: self.score(part, lambda n: advance(n * draws)),
            tuned.tables,
            sets,
            histories,
            example,
            exclude_seen=tuned.params.exclude_seen,
        )

    def score(self, histories: np.ndarray, advance: Advance = ignore) -> Tensor:
        """Scores [E, n + 1] of every item after histories [E, L], padded on the left with 0; padding has −inf."""
        return self.score_catalogue([row[row != PADDING_ID].tolist() for row in histories], advance)

    @torch.no_grad()
    def score_catalogue(self, histories: Sequence[Sequence[Item]], advance: Advance = ignore) -> Tensor:
        """Scores [E, n + 1] of every item after E histories; those of similar length are read together."""
        encoded = [self._encoder.encode(history, self._tuned.mode) for history in histories]
        order = np.argsort([len(history.prompt.input_ids) for history in encoded], kind="stable")
        size, device = self._tuned.params.batch_size, self._tuned.hybrid.device
        found: list[Tensor] = [torch.empty(0)] * len(encoded)
        for part in (order[start : start + size] for start in range(0, len(order), size)):
            chosen = [encoded[i] for i in part]
            batch = pad_histories(chosen, self._tuned.encoder.filler_id)
            states = self.model.read(**to_device(batch, device))
            last = torch.tensor([len(history.readouts) - 1 for history in chosen], device=device)
            user_states = self.model.head(states[torch.arange(len(part), device=device), last])
            for i, scores in zip(part, self.model.head.scores(user_states), strict=True):
                found[i] = scores
            advance(len(part))
        return torch.stack(found)

    @torch.no_grad()
    def score_left_out(self, history: Sequence[Item]) -> Tensor:
        """Scores [L, n + 1] after a history without each of its L ≥ 2 items in turn: one pass over what differs."""
        hybrid = self.model.hybrid
        if self._tuned.manifest.projector.kind == "transformer":  # which sees all of a row's slots
            return super().score_left_out(history)
        rest = [[*history[:place], *history[place + 1 :]] for place in range(len(history))]
        whole, *others = (self._encoder.encode(items, self._tuned.mode) for items in (history, *rest))
        tree = lay_out(whole, others)
        embeddings = hybrid.embed(
            *(part.to(hybrid.device) for part in (tree.input_ids, tree.slot_mask, tree.slot_items))
        )
        visible, positions = tree.visible[None].to(hybrid.device), tree.positions.to(hybrid.device)
        states = hybrid.states_seeing(embeddings, visible, positions, positions)
        return self.model.head.scores(self.model.head(states[0, tree.readouts.to(hybrid.device)]))
