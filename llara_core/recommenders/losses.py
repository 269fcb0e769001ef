"""Losses over next-item scores."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from llara_core.recommenders.model import PADDING_ID, SequentialRecommender


def full_softmax_cross_entropy(model: SequentialRecommender, inputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy over all items and all real positions.

    Args:
        model: the recommender.
        inputs: [B, T] item ids, padded on the right with 0.
        targets: [B, T] the next item at each position, 0 where there is none.
    """
    real = targets != PADDING_ID
    return cross_entropy(model.scores(model(inputs)[real]), targets[real])
