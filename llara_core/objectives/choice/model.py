"""The model that points: a hybrid language model, and the ways from its states to user states and item vectors."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.recommender_head import RecommenderMap
from llara_core.recommenders.model import SequentialRecommender


class ChoiceMaps(nn.Module):
    """The ways into the recommender's space: of a prompt's end to a user state, of a candidate's to an item vector."""

    def __init__(self, llm_dim: int, dim: int) -> None:
        """Build fresh maps from llm_dim to dim."""
        super().__init__()
        self.user = RecommenderMap(llm_dim, dim)
        self.item = RecommenderMap(llm_dim, dim)

    def forward(self, ends: Tensor, places: Tensor) -> Tensor:
        """[B, C] scores of the candidates, from the language model's states [B, H] and [B, C, H]."""
        return torch.einsum("bd,bcd->bc", self.user(ends), self.item(places))


class ChoiceModel(nn.Module):
    """Maps prompts to a score for each of their candidates, and to a summed loss."""

    def __init__(self, hybrid: HybridCausalLM, recommender: SequentialRecommender, distillation: float) -> None:
        """Join a language model with fresh maps.

        Args:
            hybrid: what reads.
            recommender: the teacher, a constant, into whose space the maps lead.
            distillation: α, the teacher's share of the loss.
        """
        super().__init__()
        self.hybrid = hybrid
        self.maps = ChoiceMaps(hybrid.width, recommender.output_weights.shape[1]).to(hybrid.device)
        self.distillation = distillation
        self._teacher = [recommender]  # in a list: neither its weights nor its mode are this module's

    def read(
        self, input_ids: Tensor, slot_mask: Tensor, slot_items: Tensor, ends: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[B, H] the language model's states at `ends` [B], and [B, C, H] those at `places` [B, C]."""
        states = self.hybrid.states(input_ids, slot_mask, slot_items)
        rows = torch.arange(len(states), device=states.device)
        return states[rows, ends], states[rows[:, None], places]

    def forward(
        self,
        input_ids: Tensor,
        slot_mask: Tensor,
        slot_items: Tensor,
        ends: Tensor,
        places: Tensor,
        history: Tensor,
        candidates: Tensor,
        labels: Tensor,
    ) -> Tensor:
        """Sum over prompts of (1 − α) CE(target) + α CE(the recommender's probabilities), in nats.

        Args:
            input_ids: [B, S], padded on the right.
            slot_mask: [B, S] bool with K slots.
            slot_items: [K] item ids.
            ends: [B] the prompts' last tokens.
            places: [B, C] the token behind each candidate.
            history: [B, L] item ids, padded on the right with 0.
            candidates: [B, C] item ids.
            labels: [B] index of the right candidate.
        """
        states = self.read(input_ids, slot_mask, slot_items, ends, places)
        with torch.autocast(input_ids.device.type, enabled=False):  # as scores are made elsewhere, in float32
            scores = self.maps(*states)
            loss = (1 - self.distillation) * cross_entropy(scores, labels, reduction="sum")
            if self.distillation:
                taught = self._taught(history, candidates)
                loss = loss + self.distillation * cross_entropy(scores, taught, reduction="sum")
        return loss

    @torch.no_grad()
    def _taught(self, history: Tensor, candidates: Tensor) -> Tensor:
        """[B, C] the recommender's probabilities of the candidates."""
        user_states, vectors = self.teach(history, candidates)
        return torch.einsum("bd,bcd->bc", user_states, vectors).softmax(dim=1)

    @torch.no_grad()
    def teach(self, history: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D] the recommender's user states after `history` [B, L], and [B, C, D] its vectors of `candidates`."""
        [teacher] = self._teacher
        last = (history > 0).sum(dim=1) - 1
        user_states = teacher(history)[torch.arange(len(history), device=history.device), last]
        return user_states, teacher.output_weights[candidates]
