import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llara_core.recommenders.losses.cross_entropy import full_cross_entropy


def in_a_loop(states: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    total = states.new_zeros(())
    for state, target in zip(states, targets.tolist(), strict=True):
        scores = [state @ weights[item] for item in range(1, len(weights))]
        total = total + torch.stack(scores).exp().sum().log() - scores[target - 1]
    return total


@given(
    n_items=st.integers(2, 12),
    positions=st.sampled_from([1, 5, 256, 300]),
    chunk=st.integers(1, 15),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_loss_and_gradients_are_those_of_a_loop_in_float64(n_items: int, positions: int, chunk: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(positions, 3, dtype=torch.float64, generator=generator).requires_grad_()
    weights = torch.randn(n_items + 1, 3, dtype=torch.float64, generator=generator).requires_grad_()
    targets = torch.randint(1, n_items + 1, (positions,), generator=generator)
    ours, reference = full_cross_entropy(states, targets, weights, chunk), in_a_loop(states, targets, weights)
    assert ours.item() == pytest.approx(reference.item(), rel=1e-10)
    for found, expected in zip(
        torch.autograd.grad(ours * 0.5, (states, weights)),
        torch.autograd.grad(reference * 0.5, (states, weights)),
        strict=True,
    ):
        assert torch.allclose(found, expected, atol=1e-10)


def test_by_hand() -> None:
    states = torch.tensor([[1.0, 0.0]])
    weights = torch.tensor([[9.0, 9.0], [math.log(2), 5.0], [math.log(6), 5.0]])
    loss = full_cross_entropy(states, torch.tensor([2]), weights, chunk=1)
    assert loss.item() == pytest.approx(-math.log(6 / 8))


@pytest.mark.parametrize("chunk", [1, 2])
def test_scores_of_thousands_do_not_overflow(chunk: int) -> None:
    states = torch.tensor([[100.0]], requires_grad=True)
    loss = full_cross_entropy(states, torch.tensor([1]), torch.tensor([[0.0], [10.0], [30.0]]), chunk)
    assert loss.item() == pytest.approx(2000.0)
    assert torch.autograd.grad(loss, states)[0].item() == pytest.approx(20.0)


def test_no_positions_have_no_loss() -> None:
    weights = torch.randn(4, 2, requires_grad=True)
    loss = full_cross_entropy(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), weights, chunk=2)
    loss.backward()
    assert loss.item() == 0
    assert not weights.grad.any()


@pytest.mark.parametrize("chunk", [1, 3])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_finite_shows_in_the_loss(chunk: int, broken: float) -> None:
    weights = torch.tensor([[0.0], [1.0], [broken], [2.0]])
    assert not math.isfinite(full_cross_entropy(torch.tensor([[1.0]]), torch.tensor([1]), weights, chunk).item())
