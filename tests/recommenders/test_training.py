from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from llara_core.errors import ModelError
from llara_core.params.params import Params
from llara_core.params.recommenders import EncoderChoice, Pretrain
from llara_core.recommenders import training
from llara_core.recommenders.losses.objective import Objective
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.recommenders.progress import Progress
from llara_core.recommenders.training import Recipe, train_recommender
from llara_core.recommenders.windows import TrainingSequences
from llara_core.runtime.checkpoints import latest_checkpoint
from tests.recommenders.recipes import OPTIONS, tiny

N_ITEMS = 6
ITEMS = [[1, 2, 3, 4, 5, 6], [3, 4, 5, 6, 1, 2], [6, 1, 2, 3], [2, 3, 4, 5, 6, 1, 2, 3, 4], [5, 6]]
ENDS = np.cumsum([len(items) for items in ITEMS])
CYCLES = TrainingSequences(np.concatenate(ITEMS), ENDS - [len(items) for items in ITEMS], ENDS, N_ITEMS)
POPULARITY = np.bincount(CYCLES.item_ids, minlength=N_ITEMS + 1)


class KilledError(Exception):
    """What stands for a kill."""


@pytest.fixture
def settings(params: Params) -> Pretrain:
    loss = params.pretrain.loss.model_copy(update={"negatives": 3})
    changes = {
        "loss": loss,
        "max_epochs": 8,
        "patience": 8,
        "warmup_steps": 5,
        "checkpoint_every": 2,
        "compile": False,
    }
    return params.pretrain.model_copy(update=changes)


def train(
    settings: Pretrain,
    folder: Path,
    validate: Callable[[SequentialRecommender], float] = lambda _: 0.0,
    kind: str = "sasrec",
    seed: int = 0,
    **changes: object,
) -> tuple[Progress, SequentialRecommender]:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = tiny(kind, **changes)
    torch.manual_seed(seed)
    model = build_recommender(recipe, N_ITEMS, history_length=8)
    objective = Objective(model, settings.loss, POPULARITY)
    return train_recommender(objective, CYCLES, validate, Recipe(recipe, settings, seed), folder), model


@pytest.mark.parametrize("kind", sorted(OPTIONS))
@pytest.mark.parametrize("loss", ["cross_entropy", "sampled_softmax", "gbce", "bce"])
def test_every_encoder_learns_a_cycle_with_every_loss(settings: Pretrain, tmp_path: Path, kind: str, loss: str) -> None:
    settings = settings.model_copy(
        update={"loss": settings.loss.model_copy(update={"name": loss}), "max_epochs": 40, "patience": 40}
    )
    best = iter(range(1, 41))  # keeps the last epoch
    progress, model = train(settings, tmp_path, lambda _: float(next(best)), kind)
    assert progress.curve[-1].loss < 0.7 * progress.curve[0].loss
    scores = model.eval().next_item_scores(torch.tensor([[1, 2, 3], [4, 5, 6], [6, 1, 2]]))
    assert scores[:, 1:].argmax(dim=1).add(1).tolist() == [4, 1, 3]


def test_the_best_epoch_is_kept_and_patience_ends_training(settings: Pretrain, tmp_path: Path) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.9])
    snapshots = []

    def validate(model: SequentialRecommender) -> float:
        snapshots.append(model.items.weight.clone())
        return next(scores)

    progress, model = train(settings.model_copy(update={"patience": 3}), tmp_path, validate)
    assert [epoch.validation_ndcg_at_10 for epoch in progress.curve] == [0.1, 0.5, 0.4, 0.3, 0.2]
    assert progress.best is not None
    assert progress.best.epoch == 2
    assert torch.equal(model.items.weight, snapshots[1])


def test_the_learning_rate_warms_up_and_stays(settings: Pretrain, tmp_path: Path) -> None:
    progress, _ = train(settings.model_copy(update={"warmup_steps": 4, "max_epochs": 6}), tmp_path, batch_positions=99)
    assert [epoch.step for epoch in progress.curve] == [1, 2, 3, 4, 5, 6]  # one batch an epoch
    assert [epoch.learning_rate for epoch in progress.curve] == pytest.approx([0.005, 0.01, 0.015, 0.02, 0.02, 0.02])


def test_the_loss_of_the_curve_is_per_target(settings: Pretrain, tmp_path: Path) -> None:
    progress, _ = train(settings.model_copy(update={"max_epochs": 1}), tmp_path, lr=1.0e-9, weight_decay=0.0)
    torch.manual_seed(0)
    model = build_recommender(tiny("sasrec"), N_ITEMS, history_length=8)
    logs = []
    for items in ITEMS:  # windows differ from whole sequences in positions, hence no equality
        scores = model.scores(model(torch.tensor([items[:-1]])))[0]
        logs += [-scores.log_softmax(1)[i, target].item() for i, target in enumerate(items[1:])]
    assert len(logs) == CYCLES.n_targets
    assert progress.curve[0].loss == pytest.approx(np.mean(logs), abs=0.1)


@pytest.mark.parametrize("average", [0.5, 0.9])
def test_validation_sees_the_moving_average(
    settings: Pretrain, tmp_path: Path, average: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, seen = [], []
    original = training.AveragedModel.update_parameters

    def watch(self: training.AveragedModel, model: SequentialRecommender) -> None:
        taken.append(model.items.weight.detach().clone())
        original(self, model)

    monkeypatch.setattr(training.AveragedModel, "update_parameters", watch)
    train(settings, tmp_path, lambda model: seen.append(model.items.weight.clone()) or 0.0, average=average)
    expected = taken[0]
    for n, weights in enumerate(taken[1:], start=1):
        kept = min(average, (1 + n) / (10 + n))
        expected = kept * expected + (1 - kept) * weights
    assert torch.allclose(seen[-1], expected, atol=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "sampled_softmax", "gbce"])
@pytest.mark.parametrize("dies_at", ["in the middle of an epoch", "before validation"])
def test_going_on_after_a_kill_gives_the_weights_of_an_uninterrupted_run(
    settings: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str, dies_at: str
) -> None:
    settings = settings.model_copy(update={"loss": settings.loss.model_copy(update={"name": loss})})
    dropout = EncoderChoice(name="sasrec", **(OPTIONS["sasrec"] | {"dropout": 0.3}))
    changes = {"average": 0.8, "encoder": dropout, "batch_positions": 6, "ahead": {"share": 0.5, "reach": 3}}

    def quality(model: SequentialRecommender) -> float:
        return float(model.items.weight.detach().abs().sum() % 1)  # arbitrary, but a function of the weights

    straight, expected = train(settings, tmp_path / "straight", quality, **changes)
    calls = 0

    def dies(model: SequentialRecommender) -> float:
        nonlocal calls
        calls += 1
        if calls == 4 and dies_at == "before validation":
            raise KilledError
        return quality(model)

    original = training._Training._step

    def step(self: training._Training, *batch: np.ndarray) -> float:
        if self.progress.epoch == 5 and self.progress.batch == 3 and dies_at == "in the middle of an epoch":
            raise KilledError
        return original(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(training._Training, "_step", step)
        with pytest.raises(KilledError):
            train(settings, tmp_path / "killed", dies, **changes)
    checkpoint = latest_checkpoint(tmp_path / "killed")
    assert checkpoint is not None
    resumed, model = train(settings, tmp_path / "killed", quality, **changes)
    assert resumed.curve == straight.curve
    for name, tensor in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_finished_training_is_not_repeated(settings: Pretrain, tmp_path: Path) -> None:
    _, first = train(settings, tmp_path)
    _, again = train(settings, tmp_path, validate=lambda _: pytest.fail("trained again"))
    assert torch.equal(first.items.weight, again.items.weight)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(settings: Pretrain, tmp_path: Path) -> None:
    weights = [train(settings, tmp_path / str(i), seed=seed)[1].items.weight for i, seed in enumerate([3, 3, 4])]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_loss_that_is_not_finite_stops_training_at_once(
    settings: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, steps = training._Training._step, 0

    def poison(self: training._Training, *batch: np.ndarray) -> float:
        nonlocal steps
        steps += 1
        if steps == 8:
            with torch.no_grad():
                self.model.items.weight[1] = float("nan")
        return original(self, *batch)

    monkeypatch.setattr(training._Training, "_step", poison)
    with pytest.raises(
        ModelError, match=r"loss became nan at step 8, learning rate 2.00e-02; .*step-\d is the last good checkpoint"
    ):
        train(settings, tmp_path)
    assert steps == 8
    kept = latest_checkpoint(tmp_path)
    assert kept is not None
    assert all(torch.isfinite(tensor).all() for tensor in load_file(kept / "model.safetensors").values())


@pytest.fixture
def _own_accelerator() -> Iterator[None]:
    """Accelerate keeps one precision for the whole process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("_own_accelerator")
@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
@pytest.mark.parametrize("kind", ["sasrec", "gru4rec"])
def test_the_params_choose_the_precision_whatever_the_launcher_says(
    settings: Pretrain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    precision: str,
    expected: torch.dtype,
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16" if precision == "float32" else "no")
    seen = set()
    original = torch.nn.Linear.forward

    def watch(self: torch.nn.Linear, values: torch.Tensor) -> torch.Tensor:
        products = original(self, values)
        seen.add(products.dtype)
        return products

    monkeypatch.setattr(torch.nn.Linear, "forward", watch)
    settings = settings.model_copy(update={"precision": precision, "max_epochs": 30, "patience": 30})
    progress, model = train(settings, tmp_path, kind=kind)
    assert seen == {expected}
    assert progress.curve[-1].loss < 0.7 * progress.curve[0].loss
    assert model.items.weight.dtype == torch.float32


def test_the_launcher_s_gradient_accumulation_changes_nothing(
    settings: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = train(settings, tmp_path / "plain")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    _, model = train(settings, tmp_path / "launched")
    assert torch.equal(model.items.weight, expected.items.weight)


def test_a_broken_checkpoint_is_named(settings: Pretrain, tmp_path: Path) -> None:
    train(settings, tmp_path)
    kept = latest_checkpoint(tmp_path)
    assert kept is not None
    (kept / "progress.json").write_text("{")
    with pytest.raises(ModelError, match=r"damaged checkpoint: .*step-\d+/progress.json: must be the file"):
        train(settings, tmp_path)
