from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llara_core.errors import ArtifactError, DataError, ModelError
from llara_core.params.params import Params
from llara_core.params.sections import SasRec
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from llara_core.recommenders.training import train_recommender
from llara_core.recommenders.windows import batches, cut_windows


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(1, 10), st.integers(0, 99))
def test_every_position_after_the_first_is_a_target_once(lengths: list[int], length: int, seed: int) -> None:
    starts = np.cumsum([0, *lengths])
    sequences = [np.arange(start + 1, start + 1 + n) for start, n in zip(starts, lengths, strict=False)]
    expected = sorted(item for items in sequences for item in items[1:].tolist())
    if not expected:
        with pytest.raises(DataError, match="at least two items"):
            cut_windows(sequences, length, np.random.default_rng(seed))
        return
    windows = cut_windows(sequences, length, np.random.default_rng(seed))
    inputs, targets = windows[:, :-1], windows[:, 1:]
    assert sorted(targets[targets > 0].tolist()) == expected
    # Items are numbered consecutively, so each target's input is the number before it.
    assert (inputs[targets > 0] == targets[targets > 0] - 1).all()


@given(st.integers(1, 20), st.integers(1, 7))
def test_batches_hold_every_window_once_without_columns_of_padding(n: int, size: int) -> None:
    windows = np.zeros((n, 5), dtype=np.int64)
    for row in range(n):
        windows[row, : 2 + row % 3] = row + 1
    seen = [batch for batch in batches(windows, size, np.random.default_rng(0))]
    assert sorted(batch[i, 0] for batch in seen for i in range(len(batch))) == list(range(1, n + 1))
    assert all(batch.any(axis=0).all() for batch in seen)
    assert all(len(batch) <= size for batch in seen)


@pytest.fixture
def recipe(params: Params) -> SasRec:
    changes = {"dim": 8, "window": 5, "dropout": 0.0, "lr": 0.02, "max_epochs": 30, "patience": 30, "batch_size": 4}
    return params.recommenders["sasrec"].model_copy(update=changes)


SEQUENCES = [np.array([1, 2, 3, 4, 5, 6]), np.array([3, 4, 5, 6, 1, 2]), np.array([6, 1, 2, 3])]


def test_it_learns_a_cycle(recipe: SasRec) -> None:
    torch.manual_seed(0)
    model = build_recommender(recipe, 6)
    curve = train_recommender(model, SEQUENCES, lambda _: 0.0, recipe.model_copy(update={"patience": 100}), seed=0)
    assert len(curve) == 30
    assert curve[-1].loss < 0.3 < curve[0].loss


def test_the_best_epoch_is_kept_and_patience_ends_training(recipe: SasRec) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.9])
    snapshots = []

    def validate(model: torch.nn.Module) -> float:
        snapshots.append(model.state_dict()["items.weight"].clone())
        return next(scores)

    torch.manual_seed(0)
    model = build_recommender(recipe, 6)
    curve = train_recommender(model, SEQUENCES, validate, recipe.model_copy(update={"patience": 3}), seed=0)
    assert [epoch.validation_ndcg_at_10 for epoch in curve] == [0.1, 0.5, 0.4, 0.3, 0.2]
    assert torch.equal(model.items.weight, snapshots[1])


def test_the_same_seed_gives_the_same_weights(recipe: SasRec) -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        model = build_recommender(recipe, 6)
        train_recommender(model, SEQUENCES, lambda _: 0.0, recipe, seed=3)
        weights.append(model.items.weight.detach().clone())
    assert torch.equal(*weights)


def test_a_loss_that_is_not_finite_stops_training(recipe: SasRec) -> None:
    model = build_recommender(recipe, 6)
    with torch.no_grad():
        model.items.weight[1] = float("nan")
    with pytest.raises(ModelError, match="became nan in epoch 1; lower"):
        train_recommender(model, SEQUENCES, lambda _: 0.0, recipe, seed=0)


def test_saved_recommenders_come_back(tmp_path: Path, recipe: SasRec) -> None:
    model = build_recommender(recipe, 6).eval()
    save_recommender(tmp_path, model, RecommenderConfig(recommender=recipe, n_items=6, items_digest="this"))
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(load_recommender(tmp_path, "this")(ids), model(ids))
    with pytest.raises(ArtifactError, match="was trained on another item table"):
        load_recommender(tmp_path, "other")
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ArtifactError, match="not a readable recommender"):
        load_recommender(tmp_path, "this")
