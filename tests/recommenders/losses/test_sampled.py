import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from llara_core.recommenders.losses.sampled import generalized_bce, sampled_softmax, target_weight


def tensors(n_items: int, positions: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(positions, 3, dtype=torch.float64, generator=generator)
    weights = torch.randn(n_items + 1, 3, dtype=torch.float64, generator=generator)
    return states, torch.randint(1, n_items + 1, (positions,), generator=generator), weights


def others_of(targets: torch.Tensor, n_items: int) -> torch.Tensor:
    return torch.tensor([[item for item in range(1, n_items + 1) if item != target] for target in targets.tolist()])


@given(st.integers(2, 8), st.integers(1, 5), st.integers(1, 7), st.floats(0, 1), st.integers(0, 99))
@settings(deadline=None)
def test_gbce_is_that_of_a_loop(n_items: int, positions: int, drawn: int, t: float, seed: int) -> None:
    states, targets, weights = tensors(n_items, positions, seed)
    drawn = min(drawn, n_items - 1)
    negatives = others_of(targets, n_items)[:, :drawn]
    total = 0.0
    for state, target, row in zip(states, targets.tolist(), negatives.tolist(), strict=True):
        alpha = drawn / (n_items - 1)
        beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
        positive = 1 / (1 + math.exp(-float(state @ weights[target])))
        terms = [math.log(1 - 1 / (1 + math.exp(-float(state @ weights[item])))) for item in row]
        total -= (math.log(positive**beta) + sum(terms)) / (drawn + 1)
    ours = generalized_bce(states, targets, weights, negatives, target_weight(drawn, n_items, t), offset=0.0)
    assert ours.item() == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize(("n_items", "drawn"), [(40, 2), (40, 30)])
def test_gradients_of_gbce_with_few_and_with_many_negatives_are_those_of_a_loop(n_items: int, drawn: int) -> None:
    states, targets, weights = (tensor.requires_grad_(tensor.is_floating_point()) for tensor in tensors(n_items, 5, 7))
    generator = torch.Generator().manual_seed(1)
    order = torch.stack([row[torch.randperm(len(row), generator=generator)] for row in others_of(targets, n_items)])
    negatives = order[:, :drawn]
    negatives[:, -1] = negatives[:, 0]  # drawn twice counts twice
    alpha, total = drawn / (n_items - 1), states.new_zeros(())
    for state, target, row in zip(states, targets.tolist(), negatives.tolist(), strict=True):
        positive = (state @ weights[target] - 1.5).sigmoid() ** (alpha * (0.5 * (1 - 1 / alpha) + 1 / alpha))
        total = total - positive.log() / (drawn + 1)
        for item in row:
            total = total - (1 - (state @ weights[item] - 1.5).sigmoid()).log() / (drawn + 1)
    ours = generalized_bce(states, targets, weights, negatives, target_weight(drawn, n_items, 0.5), offset=-1.5)
    assert ours.item() == pytest.approx(total.item())
    found, expected = (torch.autograd.grad(loss, (states, weights)) for loss in (ours, total))
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(("t", "drawn"), [(0.0, 3), (0.0, 1), (0.7, 7), (1.0, 7)])
def test_at_its_limits_gbce_is_bce(t: float, drawn: int) -> None:
    """t = 0 calibrates nothing; drawing all 7 others leaves nothing to calibrate."""
    states, targets, weights = tensors(8, 6, 0)
    negatives = others_of(targets, 8)[:, :drawn]
    own = (states * weights[targets]).sum(1, keepdim=True)
    logits = torch.cat([own, torch.einsum("pd,pkd->pk", states, weights[negatives])], dim=1)
    labels = torch.zeros_like(logits)
    labels[:, 0] = 1
    expected = binary_cross_entropy_with_logits(logits, labels, reduction="sum") / (drawn + 1)
    ours = generalized_bce(states, targets, weights, negatives, target_weight(drawn, 8, t), offset=0.0)
    assert ours.item() == pytest.approx(expected.item())


def test_full_calibration_weighs_the_target_by_the_share_drawn() -> None:
    states, targets, weights = tensors(9, 4, 1)
    zero = torch.zeros_like(states)
    negatives = others_of(targets, 9)[:, :2]
    # All scores 0: each logarithm is -log 2; the target counts 2/8, the negatives once each.
    assert target_weight(2, 9, 1.0) == pytest.approx(0.25)
    ours = generalized_bce(zero, targets, weights, negatives, target_weight(2, 9, 1.0), offset=0.0)
    assert ours.item() == pytest.approx(4 * (0.25 + 2) * math.log(2) / 3)


def test_log_q_correction_makes_the_sum_over_draws_unbiased() -> None:
    """Over all draws of two negatives, exp(loss) averages to that of the full softmax, as it does not without."""
    states, targets, weights = tensors(5, 1, 3)
    proposal = torch.tensor([0, 0.1, 0.2, 0.3, 0.15, 0.25], dtype=torch.float64)
    full = (weights[1:] @ states[0]).exp().sum() / (weights[targets[0]] @ states[0]).exp()
    expected = 0.0
    for pair in product(range(1, 6), repeat=2):
        loss = sampled_softmax(states, targets, weights, torch.tensor(pair), proposal.log())
        expected += float(proposal[list(pair)].prod() * loss.exp())
    assert expected == pytest.approx(full.item())


def test_a_draw_that_is_the_target_counts_for_nothing() -> None:
    states, targets, weights = tensors(4, 1, 5)
    log_proposal = torch.full((5,), math.log(0.25), dtype=torch.float64)
    loss = sampled_softmax(states, targets, weights, targets.repeat(3), log_proposal)
    assert loss.item() == pytest.approx(0.0)
