import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llara_core.errors import ParamsError
from llara_core.params.params import Params
from llara_core.params.recommenders import Loss
from llara_core.recommenders.losses.objective import Objective
from llara_core.recommenders.model import build_recommender
from tests.recommenders.recipes import tiny

N_ITEMS = 9
POPULARITY = np.array([0, 7, 0, 3, 1, 1, 2, 0, 5, 1])


@pytest.fixture(scope="module")
def loss(params: Params) -> Loss:
    return params.pretrain.loss.model_copy(update={"negatives": 4, "vocabulary_chunk": 4})


def objective(loss: Loss, name: str, *, tied: bool = True) -> Objective:
    torch.manual_seed(0)
    model = build_recommender(tiny("gru4rec", tied=tied), N_ITEMS, history_length=8).double()
    return Objective(model, loss.model_copy(update={"name": name}), POPULARITY)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ["cross_entropy", "sampled_softmax", "gbce", "bce"])
def test_the_sum_is_over_positions_with_a_target_alone(loss: Loss, name: str, tied: bool) -> None:
    own = objective(loss, name, tied=tied)
    inputs, targets = np.array([[1, 2, 3], [4, 5, 0]]), np.array([[0, 3, 9], [5, 6, 0]])
    negatives = own.draw(targets, np.random.default_rng(0))
    whole = own(*_tensors(inputs, targets, negatives))
    alone = 0.0
    for row, last in ((0, 3), (1, 2)):
        for t in range(last):
            if targets[row, t]:
                here = np.zeros((1, 3), dtype=np.int64)
                here[0, t] = targets[row, t]
                drawn = negatives if negatives is None or negatives.ndim == 1 else negatives[row : row + 1]
                alone += own(*_tensors(inputs[row : row + 1], here, drawn)).item()
    assert whole.item() == pytest.approx(alone)
    whole.backward()
    assert own.model.output_weights.grad.abs().sum() > 0
    assert own.model.items.weight.grad.abs().sum() > 0


def test_tied_and_untied_tables_differ_where_the_output_is_scored(loss: Loss) -> None:
    tied, untied = objective(loss, "cross_entropy"), objective(loss, "cross_entropy", tied=False)
    assert tied.model.output_weights is tied.model.items.weight
    assert untied.model.output_weights is not untied.model.items.weight
    assert sum(p.numel() for p in untied.parameters()) - sum(p.numel() for p in tied.parameters()) == (N_ITEMS + 1) * 8


def test_tied_cross_entropy_is_that_of_a_loop(loss: Loss) -> None:
    own = objective(loss, "cross_entropy").eval()
    inputs, targets = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[2, 3, 9], [5, 6, 0]])
    table, expected = own.model.items.weight, 0.0
    for row in range(2):
        for t in range(3):
            if target := int(targets[row, t]):
                state = own.model(inputs[row : row + 1, : t + 1])[0, t]  # encoded anew for every position
                logits = torch.stack([state @ table[item] for item in range(1, N_ITEMS + 1)])
                expected += (torch.logsumexp(logits, 0) - logits[target - 1]).item()
    assert own(inputs, targets, None).item() == pytest.approx(expected, abs=1e-10)


@given(st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_bce_never_draws_the_target_nor_padding_and_every_other_item(params: Params, seed: int) -> None:
    own = objective(params.pretrain.loss.model_copy(update={"negatives": 8}), "bce")
    targets = np.random.default_rng(seed).integers(1, N_ITEMS + 1, size=(20, 6))
    drawn = own.draw(targets, np.random.default_rng(seed))
    assert drawn.shape == (20, 6, 8)
    assert (drawn != targets[..., None]).all()
    assert set(drawn.ravel()) == set(range(1, N_ITEMS + 1))


def test_sampled_softmax_draws_by_smoothed_popularity(params: Params) -> None:
    own = objective(
        params.pretrain.loss.model_copy(update={"negatives": 200_000, "proposal_power": 0.5}), "sampled_softmax"
    )
    drawn = own.draw(np.ones((1, 1), dtype=np.int64), np.random.default_rng(0))
    expected = np.sqrt(POPULARITY[1:] + 1) / np.sqrt(POPULARITY[1:] + 1).sum()
    assert np.bincount(drawn, minlength=N_ITEMS + 1)[1:] / 200_000 == pytest.approx(expected, abs=0.005)
    assert own.log_proposal[1:].exp().numpy() == pytest.approx(expected, rel=1e-6)
    assert drawn.min() >= 1


def test_more_negatives_than_other_items_are_refused(loss: Loss) -> None:
    with pytest.raises(ParamsError, match="pretrain.loss.negatives must be ≤ the 8 items besides the target, got 9"):
        objective(loss.model_copy(update={"negatives": 9}), "gbce")


def _tensors(*arrays: np.ndarray | None) -> list[torch.Tensor | None]:
    return [None if array is None else torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize("name", ["gbce", "bce"])
@pytest.mark.parametrize("negatives", [1, 8])
def test_binary_losses_do_not_push_all_items_one_way_when_nothing_is_known(
    loss: Loss, name: str, negatives: int
) -> None:
    """Where all scores are 0, what pulls targets along a state and what pushes negatives back balance out."""
    own = objective(loss.model_copy(update={"negatives": negatives}), name, tied=False)
    table = own.model.output_weights
    with torch.no_grad():
        table.zero_()
    inputs, targets = np.array([[1, 2, 3], [4, 5, 0]]), np.array([[2, 3, 9], [5, 6, 0]])
    own(*_tensors(inputs, targets, own.draw(targets, np.random.default_rng(0)))).backward()
    assert table.grad.abs().max() > 1e-3
    assert torch.allclose(table.grad.sum(dim=0), torch.zeros(8, dtype=table.dtype), atol=1e-12)
