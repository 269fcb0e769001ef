"""One recommender for all encoders: an item embedding, an encoder that never sees ids, and a tied output."""

import torch
from torch import Tensor, nn

from llara_core.params.sections import SasRec
from llara_core.recommenders.sasrec import SasRecEncoder

PADDING_ID = 0


class SequentialRecommender(nn.Module):
    """Scores every item as the next one: the dot product of the state and the item's embedding."""

    def __init__(self, n_items: int, dim: int, encoder: nn.Module, max_length: int) -> None:
        """Build the item table [n_items + 1, dim], row 0 for padding, around `encoder`."""
        super().__init__()
        self.items = nn.Embedding(n_items + 1, dim, padding_idx=PADDING_ID)
        nn.init.normal_(self.items.weight, std=dim**-0.5)
        with torch.no_grad():
            self.items.weight[PADDING_ID] = 0
        self.encoder = encoder
        self.max_length = max_length

    @property
    def n_items(self) -> int:
        """Number of items without padding."""
        return self.items.num_embeddings - 1

    def forward(self, item_ids: Tensor) -> Tensor:
        """Map item ids [B, T], padded on the right with 0, to states [B, T, D]."""
        return self.encoder(self.items(item_ids))

    def scores(self, states: Tensor) -> Tensor:
        """Map states [..., D] to logits [..., n + 1] over item ids; padding gets -inf."""
        logits = states @ self.items.weight.T
        logits[..., PADDING_ID] = -torch.inf
        return logits

    def next_item_scores(self, histories: Tensor) -> Tensor:
        """Score the next item after histories [B, T] (padded on the left, at least one item): logits [B, n + 1]."""
        histories = histories[:, -self.max_length :]
        lengths = (histories != PADDING_ID).sum(dim=1)
        # A stable sort by "is padding" moves the items to the front and keeps their order.
        order = torch.argsort((histories == PADDING_ID).to(torch.int8), dim=1, stable=True)
        states = self(torch.gather(histories, 1, order))
        return self.scores(states[torch.arange(len(states), device=states.device), lengths - 1])


def build_recommender(params: SasRec, n_items: int) -> SequentialRecommender:
    """Build the recommender that a `recommenders` entry of params.yaml describes."""
    encoder = SasRecEncoder(params.dim, params.blocks, params.heads, params.dropout, params.window)
    return SequentialRecommender(n_items, params.dim, encoder, params.window)
