"""Averaged weights, when they are measured, which are kept and when that ends a training."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast, TrainerControl, TrainerState

from llara_core.errors import ModelError
from llara_core.finetuning.trainer import HybridTrainer
from llara_core.finetuning.watch import Watch, WatchSettings
from llara_core.runtime.checkpoints import latest_checkpoint
from tests.finetuning.runs import (
    StopAt,
    make_model,
    make_plan,
    make_recipe,
    make_trainer,
    measured,
    trained,
    watch_of,
)


class _Two(nn.Module):
    """One weight that is trained, and one that isn't."""

    def __init__(self) -> None:
        super().__init__()
        self.free = nn.Parameter(torch.zeros(1))
        self.fixed = nn.Parameter(torch.full((1,), 7.0), requires_grad=False)


def _watch(
    model: _Two,
    validate: Callable[[], float],
    *,
    times: int,
    patience: int = 99,
    average: float = 0.0,
    first_step: int = 1,
) -> Watch:
    return Watch(model, validate, WatchSettings("score", times, patience, average, first_step))


def _take(watch: Watch, model: _Two, step: int, weight: float, n_steps: int) -> bool:
    """Do optimiser step `step`, which leaves the weight; return whether that ends training."""
    with torch.no_grad():
        model.free.fill_(weight)
    control = TrainerControl()
    watch.on_step_end(None, TrainerState(global_step=step, max_steps=n_steps), control)
    return control.should_training_stop


@pytest.mark.parametrize(
    ("average", "expected"),
    [
        # From 0, towards 1, 2 and 4. Kept are 1/10, 2/11 and 3/12 of the average, or `average` where that is less.
        (0.0, [1.0, 2.0, 4.0]),
        (0.15, [0.9, 0.15 * 0.9 + 0.85 * 2, 0.15 * (0.15 * 0.9 + 0.85 * 2) + 0.85 * 4]),
        (0.2, [0.9, 1.8, 0.2 * 1.8 + 0.8 * 4]),
        (0.5, [0.9, 1.8, 0.25 * 1.8 + 0.75 * 4]),
    ],
)
def test_the_average_is_measured_and_training_goes_on_with_the_weights(average: float, expected: list[float]) -> None:
    model = _Two()
    watch = _watch(model, lambda: model.free.item() + model.fixed.item() - 7, times=3, average=average)
    for step, weight in enumerate((1.0, 2.0, 4.0), start=1):
        _take(watch, model, step, weight, n_steps=3)
        assert model.free.item() == weight
    assert list(watch.scores) == [1, 2, 3]
    assert list(watch.scores.values()) == pytest.approx(expected)
    watch.restore_best()
    assert model.free.item() == pytest.approx(expected[2])
    assert model.fixed.item() == 7


@pytest.mark.parametrize(("times", "first_step"), [(1, 1), (3, 3)])
def test_steps_that_are_not_measured_are_averaged_too(times: int, first_step: int) -> None:
    model = _Two()
    watch = _watch(model, model.free.item, times=times, average=0.2, first_step=first_step)
    for step, weight in enumerate((1.0, 2.0, 4.0), start=1):
        _take(watch, model, step, weight, n_steps=3)
    assert watch.scores == {3: pytest.approx(0.2 * 1.8 + 0.8 * 4)}


@pytest.mark.parametrize(
    ("n_steps", "times", "steps"),
    [
        (6, 6, [1, 2, 3, 4, 5, 6]),
        (6, 3, [2, 4, 6]),
        (7, 3, [3, 5, 7]),
        (10, 4, [3, 5, 8, 10]),
        (4, 1, [4]),
        (2, 5, [1, 2]),
    ],
)
def test_measurements_are_spread_evenly_and_the_last_is_at_the_end(n_steps: int, times: int, steps: list[int]) -> None:
    model = _Two()
    watch = _watch(model, lambda: 0.0, times=times)
    for step in range(1, n_steps + 1):
        _take(watch, model, step, 0.0, n_steps)
    assert list(watch.scores) == steps


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.1, 0.9, 0.5, 0.8], 2),
        ([-3.0, -4.0, -5.0, -6.0], 1),
        ([0.1, 0.2, 0.3, 0.4], 4),
        ([0.1, 0.9, 0.9, 0.9], 2),  # of equal ones the first
    ],
)
def test_the_best_weights_are_kept_whatever_comes_later(scores: list[float], best: int) -> None:
    model, left = _Two(), iter(scores)
    watch = _watch(model, lambda: next(left), times=4)
    for step in (1, 2, 3, 4):
        _take(watch, model, step, 10.0 * step, n_steps=4)
    assert watch.best_step == best
    assert watch.scores == dict(zip((1, 2, 3, 4), scores, strict=True))
    watch.restore_best()
    assert model.free.item() == 10.0 * best


@pytest.mark.parametrize(
    ("patience", "scores", "n_taken"),
    [
        (1, [0.5, 0.6, 0.6, 0.7, 0.8, 0.9], 3),  # to be as good is no improvement
        (2, [0.5, 0.4, 0.6, 0.5, 0.5, 0.9], 5),
        (2, [0.5, 0.4, 0.6, 0.5, 0.7, 0.6], 6),
        (3, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], 4),
    ],
)
def test_patience_ends_training(patience: int, scores: list[float], n_taken: int) -> None:
    model, left = _Two(), iter(scores)
    watch = _watch(model, lambda: next(left), times=6, patience=patience)
    ended = [_take(watch, model, step, 0.0, n_steps=12) for step in range(1, 2 * n_taken + 1)]
    assert list(watch.scores) == [2 * i for i in range(1, n_taken + 1)]
    assert not any(ended[:-1])
    assert ended[-1] == (n_taken < 6)  # the Trainer ends by itself at the last step


def test_a_training_that_ends_by_itself_is_not_held_up() -> None:
    model = _Two()
    watch, control = _watch(model, lambda: 0.0, times=1), TrainerControl(should_training_stop=True)
    watch.on_step_end(None, TrainerState(global_step=4, max_steps=4), control)
    assert control.should_training_stop


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_refused(at: int, score: float) -> None:
    model, left = _Two(), iter([0.5] * (at - 1) + [score])
    watch = _watch(model, lambda: next(left), times=3)
    for step in range(1, at):
        _take(watch, model, step, 0.0, n_steps=3)
    with pytest.raises(ModelError, match=rf"validation score became {score} at step {at}; lower objectives"):
        _take(watch, model, at, 0.0, n_steps=3)
    assert at not in watch.scores


AVERAGED = {"lr": 0.02, "projector_lr": 0.02, "average": 0.6}
Start = Callable[..., HybridTrainer]


@pytest.fixture
def start(tokenizer: PreTrainedTokenizerFast) -> Start:
    """Return a function that makes a trainer of six steps whose validation scores are given by step."""

    def make(folder: Path, scores: dict[int, float], patience: int, *extra: StopAt) -> HybridTrainer:
        validation = measured(len(scores), patience)
        how = make_recipe(**AVERAGED, validation=validation, checkpoint_every=2)
        model = make_model(len(tokenizer), dropout=0.1)
        trainer = make_trainer(
            model, make_plan(tokenizer), how, folder, *extra, validate=lambda: scores[trainer.state.global_step]
        )
        return trainer

    return make


def _resume(start: Start, folder: Path, scores: dict[int, float], patience: int) -> HybridTrainer:
    torch.manual_seed(99)  # a new process has another random state
    trainer = start(folder, scores, patience)
    trainer.train(resume_from_checkpoint=str(latest_checkpoint(folder)))
    return trainer


def _assert_same_end(resumed: HybridTrainer, straight: HybridTrainer, folder: Path) -> None:
    """Compare what a checkpoint would hold byte by byte, and the weights that are chosen."""
    files = []
    for name, trainer in (("resumed", resumed), ("straight", straight)):
        saved = folder / f"{name}-watch"
        saved.mkdir()
        watch_of(trainer).save(saved)
        files.append({path.name: path.read_bytes() for path in saved.iterdir()})
    assert files[0].keys() == {"average.safetensors", "best.safetensors", "watch.json"}
    assert files[0] == files[1]
    assert resumed.state.global_step == straight.state.global_step
    curves = [[(row["step"], row["loss"], row["validation"]) for row in _rows(run)] for run in (resumed, straight)]
    assert curves[0] == curves[1]
    last = trained(straight.model)
    for trainer in (resumed, straight):
        watch_of(trainer).restore_best()
    chosen = trained(straight.model)
    for name, expected in chosen.items():
        assert torch.equal(trained(resumed.model)[name], expected), name
    assert any(not torch.equal(last[name], expected) for name, expected in chosen.items())  # it is an average


def _rows(trainer: HybridTrainer) -> list[dict[str, float]]:
    return [entry for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize(
    "scores",
    [
        {2: 0.9, 4: 0.5, 6: 0.1},  # the best before the kill
        {2: 0.1, 4: 0.5, 6: 0.9},  # after it
        {6: 0.3},  # nothing measured before it
        {1: 0.1, 2: 0.2, 3: 0.3, 4: 0.2, 5: 0.4, 6: 0.3},
    ],
)
def test_what_is_killed_and_resumed_keeps_scores_average_and_best(
    tmp_path: Path, start: Start, scores: dict[int, float]
) -> None:
    straight = start(tmp_path / "straight", scores, 9)
    straight.train()
    assert watch_of(straight).scores == scores
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "cut", scores, 9, StopAt(5)).train()
    resumed = _resume(start, tmp_path / "cut", scores, 9)
    assert resumed.resumed_from == 4
    _assert_same_end(resumed, straight, tmp_path)
    assert [row["validation"] for row in _rows(straight)] == [scores.get(step) for step in range(1, 7)]


@pytest.mark.parametrize("patience", [1, 2])
def test_what_patience_has_ended_ends_there_again(tmp_path: Path, start: Start, patience: int) -> None:
    """Artifacts may fail to be written after the last step: training then ends where it did, with the same weights."""
    scores = {1: 0.1, 2: 0.5, 3: 0.4, 4: 0.3, 5: 0.8, 6: 0.9}
    straight = start(tmp_path / "straight", scores, patience)
    straight.train()
    assert list(watch_of(straight).scores) == [1, 2, 3, 4][: 2 + patience]
    start(tmp_path / "cut", scores, patience).train()
    resumed = _resume(start, tmp_path / "cut", scores, patience)
    _assert_same_end(resumed, straight, tmp_path)


def test_what_was_stopped_after_its_last_step_has_nothing_left_to_do(tmp_path: Path, start: Start) -> None:
    scores = {2: 0.1, 4: 0.5, 6: 0.4}
    straight = start(tmp_path / "straight", scores, 9)
    straight.train()
    resumed = _resume(start, tmp_path / "straight", scores, 9)
    assert resumed.resumed_from == 6
    _assert_same_end(resumed, straight, tmp_path)
