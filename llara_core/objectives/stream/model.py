"""The model that reads histories: a hybrid language model and the way from its states to the recommender's items."""

import math

import torch
from torch import Tensor, nn

from llara_core.hybrid.batching import IGNORED
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.recommender_head import RecommenderHead
from llara_core.recommenders.losses.cross_entropy import full_cross_entropy
from llara_core.recommenders.losses.sampled import sampled_softmax
from llara_core.recommenders.model import SequentialRecommender

_VOCABULARY_CHUNK = 8192  # items whose scores exist at a time
_TEACHER_ROWS = 256  # readouts whose probabilities exist at a time


class StreamModel(nn.Module):
    """Maps histories to user states in the recommender's space, and chunks of them to a summed loss."""

    def __init__(
        self, hybrid: HybridCausalLM, head: RecommenderHead, recommender: SequentialRecommender, distillation: float
    ) -> None:
        """Join the parts.

        Args:
            hybrid: what reads.
            head: the map into the recommender's space.
            recommender: the teacher, a constant.
            distillation: α, the teacher's share of the loss.
        """
        super().__init__()
        self.hybrid = hybrid
        self.head = head
        self.distillation = distillation
        self._teacher = [recommender]  # in a list: neither its weights nor its mode are this module's

    def read(self, input_ids: Tensor, slot_mask: Tensor, slot_items: Tensor, readouts: Tensor) -> Tensor:
        """[B, T, H] the language model's states at readouts [B, T], which have seen what stands before them alone."""
        states = self.hybrid.states(input_ids, slot_mask, slot_items)
        return states.gather(1, readouts[..., None].expand(-1, -1, states.shape[-1]))

    def forward(
        self,
        input_ids: Tensor,
        slot_mask: Tensor,
        slot_items: Tensor,
        readouts: Tensor,
        history: Tensor,
        labels: Tensor,
        noise: Tensor | None = None,
        negatives: Tensor | None = None,
    ) -> Tensor:
        """Sum over labels of (1 − α) CE(next item) + α CE(the recommender's probabilities), in nats.

        The second is knowledge distillation (Hinton et al., arXiv 1503.02531). Since all scores are h · v_i with the
        same vectors, it needs the teacher's expected vector only: −Σ p_i log softmax_i = log Σ exp(h · v_i) − h · v̄.

        Args:
            input_ids: [B, S], padded on the right.
            slot_mask: [B, S] bool with K slots.
            slot_items: [K] item ids.
            readouts: [B, T] the place behind each item; any place at padding.
            history: [B, T] item ids, padded on the right with 0.
            labels: [B, T] the item that follows, IGNORED where it doesn't count.
            noise: [B, T, H] factors of the states' deviations from their mean: dropout.
            negatives: [M] items drawn uniformly from those that are compared; without, they all are.
        """
        asked = labels != IGNORED
        states = self.read(input_ids, slot_mask, slot_items, readouts)[asked]
        if noise is not None:
            # Around the mean, for some features are a thousand times larger than the rest, and hardly vary.
            centre = self.head.map.centre
            states = centre + noise[asked] * (states - centre)
        with torch.autocast(states.device.type, enabled=False):  # sums over a catalogue want all of float32
            user_states, targets, vectors = self.head(states), labels[asked], self.head.item_vectors
            if (rivals := self.head.rivals) is not None:
                vectors, targets = vectors[rivals], torch.searchsorted(rivals, targets)
                negatives = None if negatives is None else torch.searchsorted(rivals, negatives)
            if negatives is None:
                loss = full_cross_entropy(user_states, targets, vectors, _VOCABULARY_CHUNK)
            else:
                uniform = vectors.new_full((len(vectors),), -math.log(len(vectors) - 1))
                loss = sampled_softmax(user_states, targets, vectors, negatives, uniform)
            if self.distillation:
                expected = self._expected_vectors(history, vectors, negatives)[asked]
                loss = loss + self.distillation * (user_states * (vectors[targets] - expected)).sum()
        return loss

    @torch.no_grad()
    def _expected_vectors(self, history: Tensor, vectors: Tensor, negatives: Tensor | None) -> Tensor:
        """[B, T, D] the mean of `vectors` [m + 1, D] under the recommender's probabilities of what follows."""
        [teacher] = self._teacher
        states = teacher(history)
        among = vectors[1:] if negatives is None else vectors[negatives]
        parts = [(rows @ among.T).softmax(dim=1) @ among for rows in states.flatten(0, 1).split(_TEACHER_ROWS)]
        return torch.cat(parts).view(*history.shape, -1)
