import numpy as np
import pytest
import torch

from llara_core.params.sections import SasRec
from llara_core.recommenders.losses import full_softmax_cross_entropy
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.recommenders.ranking import score_next_items

N_ITEMS = 9


@pytest.fixture
def recipe(params) -> SasRec:
    return params.recommenders["sasrec"].model_copy(update={"dim": 8, "window": 6, "dropout": 0.0})


@pytest.fixture
def model(recipe: SasRec) -> SequentialRecommender:
    torch.manual_seed(0)
    return build_recommender(recipe, N_ITEMS).double().eval()


def test_states_never_look_ahead(model: SequentialRecommender) -> None:
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    changed = torch.tensor([[1, 2, 3, 9, 8]])
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3:], after[:, 3:])


def test_neither_padding_nor_company_changes_scores(model: SequentialRecommender) -> None:
    alone = model.next_item_scores(torch.tensor([[3, 1, 4]]))
    padded = model.next_item_scores(torch.tensor([[0, 0, 0, 3, 1, 4], [1, 2, 3, 4, 5, 6]]))
    assert torch.allclose(alone[0], padded[0], atol=1e-12)
    assert not torch.allclose(padded[0], padded[1])


def test_only_the_latest_items_of_a_long_history_count(model: SequentialRecommender) -> None:
    long = model.next_item_scores(torch.tensor([[9, 8, 1, 2, 3, 4, 5, 6]]))
    assert torch.allclose(long, model.next_item_scores(torch.tensor([[1, 2, 3, 4, 5, 6]])), atol=1e-12)


def test_padding_is_never_recommended(model: SequentialRecommender) -> None:
    scores = score_next_items(model.float(), np.array([[0, 1], [2, 3]]))
    assert scores.shape == (2, N_ITEMS + 1)
    assert np.isneginf(scores[:, 0]).all()
    assert np.isfinite(scores[:, 1:]).all()


def test_the_loss_is_that_of_a_loop_over_positions(model: SequentialRecommender) -> None:
    inputs = torch.tensor([[1, 2, 3], [4, 5, 0]])
    targets = torch.tensor([[2, 3, 9], [5, 6, 0]])
    table = model.items.weight
    losses = []
    for row in range(2):
        states = model(inputs[row : row + 1])[0]
        for position in range(3):
            if targets[row, position]:
                logits = torch.stack([states[position] @ table[item] for item in range(1, N_ITEMS + 1)])
                losses.append(torch.logsumexp(logits, 0) - logits[targets[row, position] - 1])
    assert full_softmax_cross_entropy(model, inputs, targets).item() == pytest.approx(
        torch.stack(losses).mean().item(), abs=1e-12
    )
