from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast, TrainerCallback

from llara_core.errors import ModelError
from llara_core.finetuning.trainer import training_arguments
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer.objective import answer_loss
from llara_core.objectives.answer.prompts import AnswerPlan
from llara_core.runtime.checkpoints import latest_checkpoint, load_trainable, save_trainable
from tests.factories import make_curriculum
from tests.finetuning.reference import mean_loss
from tests.finetuning.runs import How, StopAt, make_model, make_plan, make_recipe, make_trainer, trained

FILLER_ID = 1
RATES = {"lr": 0.02, "projector_lr": 0.02}


@pytest.fixture
def how() -> How:
    return make_recipe(**RATES, checkpoint_every=2)


@pytest.fixture
def plan(tokenizer: PreTrainedTokenizerFast) -> AnswerPlan:
    return make_plan(tokenizer)


@pytest.fixture
def size(tokenizer: PreTrainedTokenizerFast) -> int:
    return len(tokenizer)


def test_resuming_equals_not_stopping(tmp_path: Path, plan: AnswerPlan, how: How, size: int) -> None:
    whole = make_model(size, dropout=0.1)
    uninterrupted = make_trainer(whole, plan, how, tmp_path / "whole")
    uninterrupted.train()

    killed = make_trainer(make_model(size, dropout=0.1), plan, how, tmp_path / "cut", StopAt(5))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    checkpoint = latest_checkpoint(tmp_path / "cut")
    assert checkpoint is not None
    assert checkpoint.name == "step-4"

    torch.manual_seed(99)  # a new process has another random state
    resumed = make_model(size, dropout=0.1)
    trainer = make_trainer(resumed, plan, how, tmp_path / "cut")
    trainer.train(resume_from_checkpoint=str(checkpoint))
    assert trainer.resumed_from == 4
    for name, expected in trained(whole).items():
        assert torch.equal(trained(resumed)[name], expected), name
    curves = [
        [
            (entry["step"], entry["loss"], entry["learning_rate"], entry["hybrid_share"])
            for entry in run.state.log_history[:6]
        ]
        for run in (uninterrupted, trainer)
    ]
    assert curves[0] == curves[1]


@pytest.mark.parametrize("micro_batch_size", [2, 4])
def test_modes_of_single_examples_train_the_same_after_a_resume(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, size: int, micro_batch_size: int
) -> None:
    plan = make_plan(tokenizer, curriculum=make_curriculum("linear", "example"))
    assert any(len(set(plan.modes_of(step))) == 2 for step in range(1, 7))
    how = make_recipe(**RATES, checkpoint_every=2, micro_batch_size=micro_batch_size)
    whole, resumed = make_model(size), make_model(size)
    make_trainer(whole, plan, how, tmp_path / "whole").train()
    with pytest.raises(KeyboardInterrupt):
        make_trainer(make_model(size), plan, how, tmp_path / "cut", StopAt(3)).train()
    make_trainer(resumed, plan, how, tmp_path / "cut").train(
        resume_from_checkpoint=str(latest_checkpoint(tmp_path / "cut"))
    )
    for name, expected in trained(whole).items():
        assert torch.equal(trained(resumed)[name], expected), name


class _Weights(TrainerCallback):
    """Notes what is trained, after each step, and the norm by which gradients were clipped."""

    def __init__(self, model: HybridCausalLM) -> None:
        self.model, self.seen = model, [trained(model)]

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.seen.append(trained(self.model))


def test_in_two_stages_text_trains_lora_then_hybrid_the_projector_alone_then_both(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, size: int
) -> None:
    plan = make_plan(tokenizer, curriculum=make_curriculum("two_stage", text=1 / 3, projector=1 / 3))
    how = make_recipe(**RATES, checkpoint_every=3, weight_decay=0.1)
    seen = _Weights(make_model(size, dropout=0.1))
    trainer = make_trainer(seen.model, plan, how, tmp_path / "whole", seen)
    trainer.train()
    moved = [
        {name.startswith("projector.") for name in now if not torch.equal(now[name], before[name])}
        for before, now in zip(seen.seen, seen.seen[1:], strict=False)
    ]
    assert moved == [{False}, {False}, {True}, {True}, {True, False}, {True, False}]
    # From a checkpoint within the second stage, whose optimiser knows what was learnt before it.
    with pytest.raises(KeyboardInterrupt):
        make_trainer(make_model(size, dropout=0.1), plan, how, tmp_path / "cut", StopAt(4)).train()
    resumed = make_model(size, dropout=0.1)
    make_trainer(resumed, plan, how, tmp_path / "cut").train(
        resume_from_checkpoint=str(latest_checkpoint(tmp_path / "cut"))
    )
    assert all(torch.equal(weight, seen.seen[-1][name]) for name, weight in trained(resumed).items())


def test_the_projector_alone_is_clipped_by_its_own_gradient(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, size: int
) -> None:
    plan = make_plan(tokenizer, curriculum=make_curriculum("two_stage", text=1 / 6, projector=5 / 6))
    how, model = make_recipe(lr=1e-9, projector_lr=1e-9, warmup=0.0), make_model(size)
    trainer = make_trainer(model, plan, how, tmp_path / "run")
    trainer.train()
    examples = [plan[i] for i in range(4, 8)]
    gradients = torch.autograd.grad(mean_loss(model, examples), list(model.projector.parameters()))
    norm = sum(float(gradient.square().sum()) for gradient in gradients) ** 0.5
    assert trainer.state.log_history[1]["grad_norm"] == pytest.approx(norm, rel=1e-4)


class _Rates(TrainerCallback):
    """Notes the learning rate of each parameter group in every optimiser step."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def on_pre_optimizer_step(self, args, state, control, optimizer, **kwargs) -> None:
        self.rates.append([group["lr"] for group in optimizer.param_groups])


def test_learning_rates_by_step_and_group(tmp_path: Path, plan: AnswerPlan, size: int) -> None:
    # Two of six steps warm up; then half a cosine, of which each step takes 36°.
    factors = [0.5, 1.0, 0.904508, 0.654508, 0.345492, 0.095492]
    how = make_recipe(warmup=0.33, lr=0.02, projector_lr=0.004, checkpoint_every=2)
    whole, first, last = _Rates(), _Rates(), _Rates()
    trainer = make_trainer(make_model(size, dropout=0.1), plan, how, tmp_path / "whole", whole)
    trainer.train()
    assert np.array(whole.rates) == pytest.approx(np.outer(factors, [0.02, 0.004]), rel=1e-5)
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == pytest.approx([0.02 * factor for factor in factors], rel=1e-5)

    killed = make_trainer(make_model(size, dropout=0.1), plan, how, tmp_path / "cut", first, StopAt(4))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = make_trainer(make_model(size, dropout=0.1), plan, how, tmp_path / "cut", last)
    resumed.train(resume_from_checkpoint=str(latest_checkpoint(tmp_path / "cut")))
    assert first.rates + last.rates == whole.rates


def test_training_lowers_the_loss_and_moves_only_projector_and_lora(
    tmp_path: Path, plan: AnswerPlan, how: How, size: int
) -> None:
    model = make_model(size)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    examples = [plan[i] for i in range(20, 24)]
    before = answer_loss(model, examples, FILLER_ID, 2)
    make_trainer(model, plan, how, tmp_path / "run").train()
    assert answer_loss(model, examples, FILLER_ID, 2) < before - 0.1
    assert all(torch.equal(p, frozen[name]) for name, p in model.named_parameters() if name in frozen)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained(model).keys()


def test_validation_loss_does_not_depend_on_the_batch_size(plan: AnswerPlan, size: int) -> None:
    model = make_model(size, dropout=0.1)
    examples = [plan[i] for i in range(len(plan))]
    losses = [answer_loss(model, examples, FILLER_ID, batch_size) for batch_size in (1, 3, 24)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_a_checkpoint_after_a_text_only_step_holds_the_projector(tmp_path: Path, size: int) -> None:
    model = make_model(size, dropout=0.1)
    save_trainable(model, tmp_path / "w.safetensors")
    other = make_model(size)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(1)
    load_trainable(other, tmp_path / "w.safetensors")
    assert all(torch.equal(p, trained(model)[name]) for name, p in trained(other).items())
    assert any(name.startswith("projector.") for name in trained(model))


def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path, size: int) -> None:
    model = make_model(size, dropout=0.1)
    save_trainable(model.projector, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="must hold exactly the trainable parameters"):
        load_trainable(model, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        load_trainable(model, tmp_path / "w.safetensors")


def test_a_loss_that_is_not_finite_stops_training(tmp_path: Path, plan: AnswerPlan, how: How, size: int) -> None:
    model = make_model(size, dropout=0.1)
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "lora_A" in name).fill_(float("nan"))
    with pytest.raises(ModelError, match=r"became nan at step 1, learning rate .*; lower objectives"):
        make_trainer(model, plan, how, tmp_path / "run").train()


class _Draws(TrainerCallback):
    """Notes where the random generator stands when each step is done."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        self.seen.append((torch.initial_seed(), torch.rand(1).item()))


def test_each_step_draws_something_else_and_the_same_after_a_resume(
    tmp_path: Path, plan: AnswerPlan, how: How, size: int
) -> None:
    whole, first, last = _Draws(), _Draws(), _Draws()
    make_trainer(make_model(size, dropout=0.1), plan, how, tmp_path / "whole", whole).train()
    assert len({seed for seed, _ in whole.seen}) == 6
    killed = make_trainer(make_model(size, dropout=0.1), plan, how, tmp_path / "cut", first, StopAt(4))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    checkpoint = latest_checkpoint(tmp_path / "cut")
    assert {path.name for path in checkpoint.iterdir()} == {
        "trainable.safetensors",
        "optimizer.safetensors",
        "average.safetensors",
        "best.safetensors",
        "watch.json",
        "trainer_state.json",
        "sha256.json",
    }
    resumed = make_trainer(make_model(size, dropout=0.1), plan, how, tmp_path / "cut", last)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert first.seen + last.seen == whole.seen


class _ProductTypes(TrainerCallback):
    """Notes the types in which the model's linear layers give their products."""

    def __init__(self, model: HybridCausalLM) -> None:
        self.seen: set[torch.dtype] = set()
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_hook(lambda _, __, output: self.seen.add(output.dtype))


@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_params_choose_the_precision_whatever_the_launcher_says(
    tmp_path: Path, plan: AnswerPlan, size: int, monkeypatch: pytest.MonkeyPatch, precision: str, expected: torch.dtype
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16" if precision == "float32" else "no")
    model = make_model(size, dropout=0.1)
    how = make_recipe(**RATES, precision=precision)
    types = _ProductTypes(model)
    make_trainer(model, plan, how, tmp_path / "run", types).train()
    assert types.seen == {expected}
    assert all(weight.dtype == torch.float32 for weight in trained(model).values())


def test_batches_that_cannot_be_divided_are_refused(tmp_path: Path, how: How, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ModelError, match="micro_batch_size × processes 6, got 4"):
        training_arguments(how.train, how.recipe, 1, tmp_path, 0)
