"""Whole trainings against the slow reference: losses, gradient norms, learning rates and weights."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor
from transformers import PreTrainedTokenizerFast, TrainerCallback

from llara_core.objectives.answer.objective import answer_loss
from llara_core.objectives.answer.prompts import AnswerPlan
from tests.factories import make_curriculum
from tests.finetuning import reference
from tests.finetuning.reference import Example, Optimisation, rate_factor
from tests.finetuning.runs import make_model, make_plan, make_recipe, make_trainer, trained

WARMUP_STEPS, N_STEPS = 2, 6
HOW = Optimisation(0.02, 0.005, 0.1, 1.75, WARMUP_STEPS, N_STEPS)
CHANGES = {
    "lr": HOW.lr,
    "projector_lr": HOW.projector_lr,
    "weight_decay": HOW.weight_decay,
    "max_grad_norm": HOW.max_grad_norm,
    "warmup": WARMUP_STEPS / N_STEPS,
}


class _Rates(TrainerCallback):
    """Notes each group's learning rate and number of weights as the optimiser is about to step."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []
        self.sizes: list[int] = []

    def on_pre_optimizer_step(self, args, state, control, optimizer, **kwargs) -> None:
        self.rates.append([group["lr"] for group in optimizer.param_groups])
        self.sizes = [sum(p.numel() for p in group["params"]) for group in optimizer.param_groups]


def _steps(plan: AnswerPlan) -> list[list[Example]]:
    size = plan.settings.batch_size
    return [[plan[i] for i in range(start, start + size)] for start in range(0, len(plan), size)]


@dataclass(frozen=True)
class _Reference:
    losses: list[float]
    norms: list[float]
    start: dict[str, Tensor]
    end: dict[str, Tensor]


@pytest.fixture(scope="module")
def expected(tokenizer: PreTrainedTokenizerFast) -> _Reference:
    plan = make_plan(tokenizer, n_steps=N_STEPS)
    steps = _steps(plan)
    assert {mode for step in range(1, N_STEPS + 1) for mode in plan.modes_of(step)} == {"hybrid", "text"}
    # Micro-batches with different numbers of answer tokens: a mean of their means would be another loss.
    assert any(sum(len(a) for _, a in step[:2]) != sum(len(a) for _, a in step[2:]) for step in steps)
    model = make_model(len(tokenizer))
    start = trained(model)
    losses, norms = reference.train(model, steps, HOW)
    assert min(norms) < HOW.max_grad_norm / 1.1 < 1.1 * HOW.max_grad_norm < max(norms)  # clipped in some steps only
    return _Reference(losses, norms, start, trained(model))


@pytest.mark.parametrize("micro_batch_size", [1, 2, 4])
def test_training_is_what_the_reference_does(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, expected: _Reference, micro_batch_size: int
) -> None:
    plan, model = make_plan(tokenizer, n_steps=N_STEPS), make_model(len(tokenizer))
    trainer = make_trainer(model, plan, make_recipe(micro_batch_size=micro_batch_size, **CHANGES), tmp_path / "run")
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["step"] for entry in logs] == [1, 2, 3, 4, 5, 6]
    assert [entry["loss"] for entry in logs] == pytest.approx(expected.losses, rel=1e-5)
    assert [entry["grad_norm"] for entry in logs] == pytest.approx(expected.norms, rel=1e-4)
    for name, weights in expected.end.items():
        # As a whole, for Adam turns the last bits of a tiny gradient into a full step.
        moved, error = (weights - expected.start[name]).norm(), (trained(model)[name] - weights).norm()
        assert moved > 0, name
        assert error < 5e-4 * moved, name


def test_each_group_has_its_learning_rate_in_each_step(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    plan, model, seen = make_plan(tokenizer, n_steps=N_STEPS), make_model(len(tokenizer)), _Rates()
    trainer = make_trainer(model, plan, make_recipe(**CHANGES), tmp_path / "run", seen)
    trainer.train()
    factors = [rate_factor(step, WARMUP_STEPS, N_STEPS) for step in range(1, N_STEPS + 1)]
    assert seen.rates == [pytest.approx([0.02 * factor, 0.005 * factor]) for factor in factors]
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == pytest.approx([0.02 * factor for factor in factors])
    projector = sum(p.numel() for p in model.projector.parameters())
    assert seen.sizes == [sum(p.numel() for p in trained(model).values()) - projector, projector]


@pytest.mark.parametrize("drawn_per", ["batch", "example"])
def test_the_curve_tells_what_share_of_each_step_was_to_be_hybrid_and_was(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, drawn_per: str
) -> None:
    plan = make_plan(tokenizer, n_steps=4, curriculum=make_curriculum("linear", drawn_per))
    trainer = make_trainer(make_model(len(tokenizer)), plan, make_recipe(), tmp_path / "run")
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["hybrid_probability"] for entry in logs] == [0.25, 0.5, 0.75, 1.0]
    shares = [sum(bool(plan[index][0].slot_items) for index in range(start, start + 4)) / 4 for start in (0, 4, 8, 12)]
    assert [entry["hybrid_share"] for entry in logs] == shares
    assert len(set(shares)) > 1
    assert drawn_per == "example" or set(shares) <= {0, 1}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_validation_loss_is_the_mean_per_token_without_dropout(
    tokenizer: PreTrainedTokenizerFast, batch_size: int
) -> None:
    model = make_model(len(tokenizer), dropout=0.5)
    plan = make_plan(tokenizer, n_steps=2, curriculum=make_curriculum("hybrid_only"))
    examples = [plan[i] for i in range(8)]
    assert len({len(answer) for _, answer in examples}) > 1
    expected = reference.mean_loss(model.eval(), examples).item()
    for training in (True, False):
        model.train(training)
        assert answer_loss(model, examples, 1, batch_size) == pytest.approx(expected, rel=1e-4)
        assert all(module.training == training for module in model.modules())
