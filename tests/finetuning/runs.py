"""A plan, a model and a trainer small enough to be checked by hand, for tests and for the processes that they start."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase, TrainerCallback

from llara_core.finetuning.curve import CurveCallback
from llara_core.finetuning.trainer import HybridTrainer, training_arguments
from llara_core.finetuning.watch import Watch, WatchSettings
from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.answer.objective import AnswerObjective
from llara_core.objectives.answer.prompts import AnswerPlan
from llara_core.objectives.prompt_plan import PromptSettings
from llara_core.params.loading import load_params
from llara_core.params.objectives import Answer, Validation
from llara_core.params.sections import Lora, Train
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.sequences.windows import all_positions
from llara_core.tables.sequences import Sequences
from tests.conftest import ROOT, make_llama
from tests.factories import APPEND, PROJECTOR, folder_llm, make_curriculum, make_sequences

N_ITEMS = 30
MIN_HISTORY = 3
# A number names the item; words behind it give answers of different lengths.
TITLES = ["", *(f"#{item:02d}" + " of the movie" * (item % 4) for item in range(1, N_ITEMS + 1))]
SETTINGS = PromptSettings(
    seed=0,
    curriculum=make_curriculum("linear"),
    shown="hybrid",
    n_steps=6,
    batch_size=4,
    n_candidates=5,
    negatives="outside_history",
    smoothing=1.0,
    history_length=4,
)


def make_users() -> Sequences:
    """Six training users with ten of the items 1 to 26, each once; a validation user and a test user have the rest."""
    generator = np.random.default_rng(5)
    lists = [(1 + generator.permutation(26)[:10]).tolist() for _ in range(6)]
    return make_sequences([*lists, [27, 28, 1, 2, 3], [29, 30, 4, 5, 6]], ["train"] * 6 + ["validation", "test"])


def make_plan(tokenizer: PreTrainedTokenizerBase, **changes: object) -> AnswerPlan:
    """Plan over the training users; changes are of the settings."""
    params, users = load_params(ROOT / "params.yaml"), make_users()
    writer = PromptWriter.of(params.prompt, params.fusion, params.datasets["ml-100k"].nouns, TITLES)
    encoder = PromptEncoder(tokenizer, max_length=1024)
    examples = all_positions(users, "train", MIN_HISTORY)
    return AnswerPlan(users, examples, N_ITEMS, writer, encoder, replace(SETTINGS, **changes))


def make_model(vocabulary: int, dropout: float = 0.0) -> HybridCausalLM:
    """A tiny Llama with LoRA and a projector whose weights are all far from zero."""
    lora = Lora(rank=2, alpha=4, dropout=dropout, targets="all-linear")
    adapted = attach_lora(make_llama(vocabulary), lora, folder_llm(Path("x")))
    vectors = np.random.default_rng(0).normal(size=(N_ITEMS + 1, 4)).astype(np.float32)
    torch.manual_seed(1)
    model = build_hybrid(adapted.get_base_model(), vectors, PROJECTOR, APPEND)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return model


@dataclass(frozen=True)
class How:
    """params.yaml's `train`, and the objective's recipe."""

    train: Train
    recipe: Answer


def make_recipe(**changes: object) -> How:
    """Return what params.yaml says of answers, for six steps of four examples; changes are of either part."""
    params = load_params(ROOT / "params.yaml")
    small = {"batch_size": 4, "micro_batch_size": 2, "checkpoint_every": 100, "warmup": 0.33, "workers": 0, **changes}
    own = {name: value for name, value in small.items() if name in Answer.model_fields}
    rest = {name: value for name, value in small.items() if name not in own}
    assert rest.keys() <= Train.model_fields.keys()
    return How(params.train.model_copy(update=rest), params.objectives.answer.model_copy(update=own))


def measured(times: int, patience: int) -> Validation:
    """Return a recipe's `validation` for scores that a test makes up."""
    return Validation(positions=1, times=times, patience=patience)


class PlannedAnswers(AnswerObjective):
    """The objective on a plan made by hand; the test says what validation finds."""

    def __init__(self, model: HybridCausalLM, plan: AnswerPlan, recipe: Answer, validate: Callable[[], float]) -> None:
        self.model, self.plan, self.recipe = model, plan, recipe
        self._filler_id, self._score = 1, validate

    def validate(self) -> float:
        return self._score()


def make_trainer(
    model: HybridCausalLM,
    plan: AnswerPlan,
    how: How,
    folder: Path,
    *extra: TrainerCallback,
    validate: Callable[[], float] = lambda: 0.0,
) -> HybridTrainer:
    folder.mkdir(parents=True, exist_ok=True)  # of two processes either may be here first
    objective, validation = PlannedAnswers(model, plan, how.recipe, validate), how.recipe.validation
    settings = WatchSettings("score", validation.times, validation.patience, how.recipe.average)
    watch = Watch(model, objective.validate, settings)
    arguments = training_arguments(how.train, how.recipe, plan.settings.n_steps, folder, seed=0)
    return HybridTrainer(objective, arguments, watch, [CurveCallback(plan, watch), *extra])


def watch_of(trainer: HybridTrainer) -> Watch:
    [watch] = [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, Watch)]
    return watch


class StopAt(TrainerCallback):
    """Ends training as a kill would: no more steps, no farewell checkpoint."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        if state.global_step == self._step:
            raise KeyboardInterrupt


def trained(model: HybridCausalLM) -> dict[str, torch.Tensor]:
    """What tuning may change, by the names that peft and the projector give their weights."""
    parts = {name: p for name, p in model.named_parameters() if "lora_" in name or name.startswith("projector.")}
    return {name: p.detach().clone() for name, p in parts.items()}


@dataclass(frozen=True)
class Shown:
    """What a planned example shows, read back from its tokens."""

    text: str
    history: list[int]
    candidates: list[int]
    target: int
    slots: list[int]


def read_back(tokenizer: PreTrainedTokenizerBase, example: tuple[EncodedPrompt, list[int]], n_candidates: int) -> Shown:
    """Decode a planned example; its prompt names the history first, in every template."""
    prompt, answer = example
    text = tokenizer.decode([token for token, slot in zip(prompt.input_ids, prompt.slot_mask, strict=True) if not slot])
    items = [int(number) for number in re.findall(r"#(\d\d)", text)]
    [target] = re.findall(r"#(\d\d)", tokenizer.decode(answer))
    return Shown(text, items[:-n_candidates], items[-n_candidates:], int(target), prompt.slot_items)
