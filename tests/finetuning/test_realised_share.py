"""What share of its prompts a model is really given with behavioural tokens, over epochs and two kills."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from llara_core.runtime.checkpoints import latest_checkpoint
from tests.finetuning.runs import StopAt, make_plan, make_recipe, make_trainer
from tests.objectives.realised import COURSES, interval, make_schedule

N_STEPS, BATCH = 24, 4
EPOCH = 12  # steps, some more than one: there are 42 training positions, of which a step has 4
VARIANTS = [*((schedule, "example") for schedule in COURSES), ("linear", "batch"), ("reverse", "batch")]


class _Reader(nn.Module):
    """In a model's place: notes whether each prompt that it is given has slots, and hardly computes anything."""

    def __init__(self) -> None:
        super().__init__()
        self.llm, self.projector = nn.Linear(1, 1), nn.Linear(1, 1)
        self.prompts: list[bool] = []

    def forward(self, input_ids: Tensor, slot_mask: Tensor, slot_items: Tensor, labels: Tensor) -> Tensor:
        self.prompts += slot_mask.any(dim=1).tolist()
        return self.projector(self.llm(torch.ones(1))).square().sum()


@pytest.mark.parametrize(("schedule", "drawn_per"), VARIANTS)
def test_it_lies_in_its_interval(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, schedule: str, drawn_per: str
) -> None:
    plan = make_plan(tokenizer, curriculum=make_schedule(schedule, drawn_per), n_steps=N_STEPS)
    how = make_recipe(checkpoint_every=6, micro_batch_size=4)
    read: list[bool] = []
    for stop in (8, 17, None):  # killed twice; each goes on from the checkpoint before
        checkpoint = latest_checkpoint(tmp_path) if read else None
        reader = _Reader()
        trainer = make_trainer(reader, plan, how, tmp_path, *([] if stop is None else [StopAt(stop)]))
        if stop is None:
            trainer.train(resume_from_checkpoint=str(checkpoint))
        else:
            with pytest.raises(KeyboardInterrupt):
                trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        begun = 0 if checkpoint is None else int(checkpoint.name.removeprefix("step-"))
        assert begun == {8: 0, 17: 6, None: 12}[stop]
        read = read[: begun * BATCH] + reader.prompts
    assert len(read) == N_STEPS * BATCH
    steps = [read[start : start + BATCH] for start in range(0, len(read), BATCH)]
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["hybrid_share"] for entry in logs] == [sum(step) / BATCH for step in steps]
    course = [COURSES[schedule](step, N_STEPS) for step in range(1, N_STEPS + 1)]
    assert [entry["hybrid_probability"] for entry in logs] == pytest.approx(course)
    draws = 1 if drawn_per == "batch" else BATCH
    if drawn_per == "batch":
        assert all(len(set(step)) == 1 for step in steps)
    for first, last in [(0, N_STEPS), *((start, start + EPOCH) for start in range(0, N_STEPS, EPOCH))]:
        least, most = interval([p for p in course[first:last] for _ in range(draws)])
        found = sum(is_hybrid for step in steps[first:last] for is_hybrid in step[:draws])
        assert least <= found <= most, (first, least, found, most)
