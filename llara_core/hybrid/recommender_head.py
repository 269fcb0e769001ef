"""LLM2SR: from the language model's states into the recommender's space, the way back from SR2LLM."""

from typing import cast

import torch
from torch import Tensor, nn


class RecommenderMap(nn.Linear):
    """An affine map [*, H] → [*, D] that can start at the best one for the language model as it is.

    Attributes:
        centre: [H] the mean of the states that it was fitted to; 0 before.
    """

    def __init__(self, llm_dim: int, dim: int) -> None:
        """Build a fresh map."""
        super().__init__(llm_dim, dim)
        self.register_buffer("centre", torch.zeros(llm_dim), persistent=False)
        self.centre: Tensor

    def forward(self, states: Tensor) -> Tensor:
        """Map the language model's states [*, H] to vectors [*, D], in the map's own precision."""
        return super().forward(states.to(self.weight.dtype))

    @torch.no_grad()
    def fit(self, states: Tensor, vectors: Tensor, penalty: float) -> float:
        """Set the map to the ridge regression of the recommender's vectors on the language model's states.

        Features are scaled to unit variance, for a few of a language model's are a thousand times larger than the rest.

        Args:
            states: [P, H] of the language model.
            vectors: [P, D] of the recommender, of the same histories or items.
            penalty: λ of Σ‖y − Wx‖² + λ‖W‖², in scaled features.

        Returns:
            R², the share of the vectors' variance that the map explains on these P.
        """
        features, goals = states.double(), vectors.double()
        centre, scale = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-6)
        scaled, middle = (features - centre) / scale, goals.mean(dim=0)
        gram = scaled.T @ scaled + penalty * torch.eye(scaled.shape[1], dtype=scaled.dtype, device=scaled.device)
        weights = torch.linalg.solve(gram, scaled.T @ (goals - middle))
        residual = goals - middle - scaled @ weights
        weights = weights / scale[:, None]
        self.centre.copy_(centre)
        self.weight.copy_(weights.T)
        self.bias.copy_(middle - centre @ weights)
        return 1 - float(residual.square().sum() / (goals - middle).square().sum())


class RecommenderHead(nn.Module):
    """A map of user states, and the recommender's item vectors, which score its result.

    Attributes:
        item_vectors: [n + 1, D] by item id, a constant.
        rivals: [m + 1] ids of the items that are compared in training, 0 before them; None: all.
    """

    def __init__(self, llm_dim: int, item_vectors: Tensor) -> None:
        """Take item_vectors [n + 1, D] by item id, a constant."""
        super().__init__()
        self.map = RecommenderMap(llm_dim, item_vectors.shape[1])
        self.register_buffer("item_vectors", item_vectors, persistent=False)
        self.item_vectors: Tensor
        self.register_buffer("rivals", None, persistent=False)
        self.rivals: Tensor | None

    def replace(self, items: Tensor, vectors: Tensor) -> None:
        """Give `items` [k] the `vectors` [k, D], and take them out of the comparison in training.

        As wrong answers of every example, which items without interactions are, they would be learnt to be avoided.
        """
        self.item_vectors[items] = vectors.to(self.item_vectors)
        stays = torch.ones(len(self.item_vectors), dtype=torch.bool, device=self.item_vectors.device)
        stays[items] = False
        self.rivals = stays.nonzero()[:, 0]

    def forward(self, states: Tensor) -> Tensor:
        """Map the language model's states [*, H] to user states [*, D], in float32."""
        return cast("Tensor", self.map(states))

    def scores(self, user_states: Tensor) -> Tensor:
        """[*, n + 1] a score for every item, −inf for padding, from user states [*, D]."""
        scores = user_states @ self.item_vectors.T
        scores[..., 0] = -torch.inf
        return scores
