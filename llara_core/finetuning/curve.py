"""The training curve while it grows: a progress bar, and complete log entries that checkpoints keep."""

import time
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llara_core.finetuning.watch import Watch
from llara_core.objectives.step_plan import StepPlan

CURVE_COLUMNS = (
    "step",
    "loss",
    "learning_rate",
    "hybrid_probability",
    "hybrid_share",
    "examples_per_second",
    "validation",
)


class CurveCallback(TrainerCallback):
    """Adds hybrid probability and share, speed and what validation found to each step's log, and shows progress."""

    def __init__(self, plan: StepPlan[Any, Any], watch: Watch) -> None:
        """Follow a training on `plan`, after `watch` has seen the step."""
        self._plan, self._watch = plan, watch
        self._started = time.perf_counter()
        self._bar: tqdm | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Open the bar at the step from which training goes on."""
        hidden = not state.is_world_process_zero
        self._bar = tqdm(total=state.max_steps, initial=state.global_step, desc="finetune", unit="step", disable=hidden)
        self._started = time.perf_counter()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Complete the entry that the Trainer has just appended to its history, which checkpoints keep."""
        entry = state.log_history[-1]
        if "loss" not in entry or self._bar is None:
            return
        plan, step = self._plan, int(state.global_step)
        modes = plan.modes_of(step)
        now = time.perf_counter()
        entry["hybrid_probability"] = plan.hybrid_probability(step)
        entry["hybrid_share"] = sum(mode != "text" for mode in modes) / len(modes)
        entry["examples_per_second"] = plan.settings.batch_size / (now - self._started)
        entry["validation"] = self._watch.scores.get(step)
        self._started = now
        shown = {"loss": f"{entry['loss']:.3f}", "mode": "+".join(sorted(set(modes)))}
        if self._watch.scores:
            best = self._watch.best_step
            shown[self._watch.settings.name] = f"{self._watch.scores[best]:.4f} (step {best})"
        self._bar.update(1)
        self._bar.set_postfix(shown)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
