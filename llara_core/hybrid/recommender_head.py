"""LLM2SR: from the language model's states into the recommender's space, the way back from SR2LLM."""

from typing import cast

import torch
from torch import Tensor, nn


class RecommenderHead(nn.Module):
    """An affine map [*, H] → [*, D], and the recommender's item vectors, which score its result."""

    def __init__(self, llm_dim: int, item_vectors: Tensor) -> None:
        """Take item_vectors [n + 1, D] by item id, a constant."""
        super().__init__()
        self.map = nn.Linear(llm_dim, item_vectors.shape[1])
        self.register_buffer("item_vectors", item_vectors, persistent=False)
        self.item_vectors: Tensor

    def forward(self, states: Tensor) -> Tensor:
        """Map the language model's states [*, H] to user states [*, D], in float32."""
        return cast("Tensor", self.map(states.to(self.map.weight.dtype)))

    def scores(self, user_states: Tensor) -> Tensor:
        """[*, n + 1] a score for every item, −inf for padding, from user states [*, D]."""
        scores = user_states @ self.item_vectors.T
        scores[..., 0] = -torch.inf
        return scores

    @torch.no_grad()
    def fit(self, states: Tensor, user_states: Tensor, penalty: float) -> float:
        """Set the map to the ridge regression of user states on the language model's states.

        Features are scaled to unit variance, for a few of a language model's are a thousand times larger than the rest.

        Args:
            states: [P, H] of the language model.
            user_states: [P, D] of the recommender, of the same histories.
            penalty: λ of Σ‖y − Wx‖² + λ‖W‖², in scaled features.

        Returns:
            R², the share of the user states' variance that the map explains on these P.
        """
        features, goals = states.double(), user_states.double()
        centre, scale = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-6)
        scaled, middle = (features - centre) / scale, goals.mean(dim=0)
        gram = scaled.T @ scaled + penalty * torch.eye(scaled.shape[1], dtype=scaled.dtype, device=scaled.device)
        weights = torch.linalg.solve(gram, scaled.T @ (goals - middle))
        residual = goals - middle - scaled @ weights
        weights = weights / scale[:, None]
        self.map.weight.copy_(weights.T)
        self.map.bias.copy_(middle - centre @ weights)
        return 1 - float(residual.square().sum() / (goals - middle).square().sum())
