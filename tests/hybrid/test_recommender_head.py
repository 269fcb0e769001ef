import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from llara_core.hybrid.recommender_head import RecommenderHead, RecommenderMap

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(6, 3, generator=GENERATOR)


def test_scores_are_products_with_item_vectors() -> None:
    head = RecommenderHead(4, VECTORS)
    scores = head.scores(torch.tensor([[1.0, 0.0, 2.0]]))
    assert scores.shape == (1, 6)
    assert scores[0, 0] == -torch.inf
    assert scores[0, 1:].tolist() == pytest.approx((VECTORS[1:, 0] + 2 * VECTORS[1:, 2]).tolist())


def test_item_vectors_are_no_weights() -> None:
    head = RecommenderHead(4, VECTORS)
    assert {name for name, _ in head.named_parameters()} == {"map.weight", "map.bias"}
    assert set(head.state_dict()) == {"map.weight", "map.bias"}


def test_the_start_is_the_ridge_regression_of_scikit_learn() -> None:
    states = torch.randn(50, 4, generator=GENERATOR) * torch.tensor([1.0, 1000.0, 0.1, 1.0]) + 5
    goals = states @ torch.randn(4, 3, generator=GENERATOR) * 0.01 + torch.randn(50, 3, generator=GENERATOR)
    head = RecommenderMap(4, 3)
    explained = head.fit(states, goals, penalty=7.0)
    scaled = StandardScaler().fit_transform(states.double().numpy())
    torch.testing.assert_close(head.centre, states.mean(0))
    reference = Ridge(alpha=7.0).fit(scaled, goals.double().numpy())
    np.testing.assert_allclose(head(states).detach().numpy(), reference.predict(scaled), rtol=1e-3, atol=1e-4)
    assert explained == pytest.approx(
        1 - ((reference.predict(scaled) - goals.numpy()) ** 2).sum() / ((goals - goals.mean(0)) ** 2).sum().item(),
        abs=1e-5,
    )


def test_one_position_alone_gives_its_user_state() -> None:
    head, goal = RecommenderMap(4, 3), torch.randn(1, 3, generator=GENERATOR)
    states = torch.randn(1, 4, generator=GENERATOR)
    head.fit(states, goal, penalty=1.0)
    torch.testing.assert_close(head(states), goal)


def test_a_constant_feature_is_no_reason_to_fail() -> None:
    states = torch.cat([torch.randn(20, 2, generator=GENERATOR), torch.ones(20, 1)], dim=1)
    head = RecommenderMap(3, 3)
    head.fit(states, torch.randn(20, 3, generator=GENERATOR), penalty=1.0)
    assert head.weight.isfinite().all()
