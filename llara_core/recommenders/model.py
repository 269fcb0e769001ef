"""One recommender for all encoders: an item embedding, an encoder that never sees ids, and an output over items."""

import torch
from torch import Tensor, nn

from llara_core.errors import ParamsError
from llara_core.params.recommenders import Recommender
from llara_core.recommenders.encoders.registry import build_encoder
from llara_core.tables.items import PADDING_ID


class SequentialRecommender(nn.Module):
    """Scores every item as the next one: the dot product of the state and the item's output vector."""

    def __init__(self, n_items: int, dim: int, encoder: nn.Module, max_length: int, *, tied: bool) -> None:
        """Build the item table [n_items + 1, dim], row 0 for padding, around `encoder`.

        Args:
            n_items: items without padding.
            dim: D, width of the table.
            encoder: maps vectors [B, T, D] to states [B, T, D].
            max_length: inputs that the encoder has been trained for; of longer histories the latest items count.
            tied: whether items are scored by their embedding itself, or by a table of its own.
        """
        super().__init__()
        self.items = _item_table(n_items, dim)
        self.outputs = None if tied else _item_table(n_items, dim)
        self.encoder = encoder
        self.max_length = max_length

    @property
    def n_items(self) -> int:
        """Number of items without padding."""
        return self.items.num_embeddings - 1

    @property
    def output_weights(self) -> Tensor:
        """[n + 1, D] the vectors that states are compared with."""
        return (self.items if self.outputs is None else self.outputs).weight

    def forward(self, item_ids: Tensor) -> Tensor:
        """Map item ids [B, T], padded on the right with 0, to states [B, T, D]."""
        return self.encoder(self.items(item_ids))

    def scores(self, states: Tensor) -> Tensor:
        """Map states [..., D] to logits [..., n + 1] over item ids; padding gets -inf."""
        logits = states @ self.output_weights.T
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


def _item_table(n_items: int, dim: int) -> nn.Embedding:
    table = nn.Embedding(n_items + 1, dim, padding_idx=PADDING_ID)
    nn.init.normal_(table.weight, std=dim**-0.5)
    with torch.no_grad():
        table.weight[PADDING_ID] = 0
    return table


def build_recommender(params: Recommender, n_items: int, history_length: int) -> SequentialRecommender:
    """Build the recommender that a `recommenders` entry of params.yaml describes.

    Args:
        params: the entry.
        n_items: items without padding.
        history_length: the latest items that it will be shown.

    Raises:
        ParamsError: the encoder looks further back than it will be shown.
    """
    if (context := params.encoder.options.needed_history) > history_length:
        raise ParamsError(f"encoder.context must be ≤ split.history_length {history_length}, got {context}")
    encoder = build_encoder(params.encoder, params.dim, params.max_length)
    return SequentialRecommender(n_items, params.dim, encoder, params.max_length, tied=params.tied)
