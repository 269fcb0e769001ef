"""Two processes that tune together agree on scores and checkpoints."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from llara_core.finetuning import trainer
from llara_core.runtime.checkpoints import agreed_checkpoint, locked_checkpoints
from llara_core.runtime.compute import smallest_of_all, wait_for_all
from tests.finetuning.runs import make_model, make_plan, make_recipe, make_trainer, measured, watch_of
from tests.recommenders.test_training import KilledError
from tests.two_processes.late import late


def test_the_smallest_number_is_everybody_s() -> None:
    wait_for_all()
    assert smallest_of_all(5 + int(os.environ["RANK"])) == 5
    assert smallest_of_all(5 - int(os.environ["RANK"])) == 4


def test_one_process_s_scores_are_those_of_all(tokenizer: PreTrainedTokenizerFast, shared: Path) -> None:
    """By its own scores the second process would go on after the first has ended."""
    how, rank = make_recipe(validation=measured(3, 1)), int(os.environ["RANK"])
    rising, falling = iter([0.1, 0.2, 0.3]), iter([0.3, 0.2, 0.1])
    scores = rising if rank else falling
    tuning = make_trainer(
        make_model(len(tokenizer)), make_plan(tokenizer), how, shared / "scores", validate=lambda: next(scores)
    )
    tuning.train()
    assert watch_of(tuning).scores == {2: 0.3, 4: 0.2}
    assert tuning.state.global_step == 4


def test_no_process_removes_what_another_still_reads(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stopped after its last step has no step left in which processes would wait for each other."""
    how, plan = make_recipe(checkpoint_every=99), make_plan(tokenizer)
    monkeypatch.setattr(trainer, "load_optimizer", late(trainer.load_optimizer))
    for stopped in (True, False):
        expected = pytest.raises(KilledError) if stopped else nullcontext()
        with expected, locked_checkpoints("finetune", "done", fresh=False) as folder:
            tuning = make_trainer(make_model(len(tokenizer)), plan, how, folder)
            checkpoint = agreed_checkpoint(folder)
            tuning.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            assert tuning.resumed_from == (None if stopped else 6)
            if stopped:
                raise KilledError
