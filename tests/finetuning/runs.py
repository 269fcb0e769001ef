"""A plan, a model and a trainer small enough to be checked by hand, for tests and for the processes that they start."""

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase, TrainerCallback

from llara_core.finetuning.curve import CurveCallback
from llara_core.objectives.prompt_plan import PromptSettings, PromptPlan
from llara_core.finetuning.trainer import HybridTrainer, collate, training_arguments
from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.model import HybridCausalLM
from llara_core.params.loading import load_params
from llara_core.params.sections import FolderLlm, Lora, Train
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.sequences.windows import all_positions
from llara_core.tables.sequences import Sequences
from tests.conftest import ROOT, make_llama
from tests.factories import make_sequences

N_ITEMS = 30
MIN_HISTORY = 3
# A number names the item; words behind it give answers of different lengths.
TITLES = ["", *(f"#{item:02d}" + " of the movie" * (item % 4) for item in range(1, N_ITEMS + 1))]
SETTINGS = PromptSettings(
    seed=0, schedule="linear", n_steps=6, batch_size=4, n_candidates=5, negatives="outside_history", history_length=4
)


def make_users() -> Sequences:
    """Six training users with ten of the items 1 to 26, each once; a validation user and a test user have the rest."""
    generator = np.random.default_rng(5)
    lists = [(1 + generator.permutation(26)[:10]).tolist() for _ in range(6)]
    return make_sequences([*lists, [27, 28, 1, 2, 3], [29, 30, 4, 5, 6]], ["train"] * 6 + ["validation", "test"])


def make_plan(tokenizer: PreTrainedTokenizerBase, **changes: object) -> PromptPlan:
    """Plan over the training users; changes are of the settings."""
    params, users = load_params(ROOT / "params.yaml"), make_users()
    writer = PromptWriter.of(params.prompt, params.datasets["ml-100k"].nouns, TITLES)
    encoder = PromptEncoder(tokenizer, max_length=1024)
    examples = all_positions(users, "train", MIN_HISTORY)
    return PromptPlan(users, examples, N_ITEMS, writer, encoder, replace(SETTINGS, **changes))


def make_model(vocabulary: int, dropout: float = 0.0) -> HybridCausalLM:
    """A tiny Llama with LoRA and a projector whose weights are all far from zero."""
    lora = Lora(rank=2, alpha=4, dropout=dropout, targets="all-linear")
    adapted = attach_lora(make_llama(vocabulary), lora, FolderLlm(source="folder", path=Path("x"), dtype="float32"))
    vectors = np.random.default_rng(0).normal(size=(N_ITEMS + 1, 4)).astype(np.float32)
    torch.manual_seed(1)
    model = build_hybrid(adapted.get_base_model(), vectors, hidden=6)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return model


def make_recipe(**changes: object) -> Train:
    """Return params.yaml's `train` for six steps of four examples."""
    small = {"batch_size": 4, "micro_batch_size": 2, "checkpoint_every": 100, "warmup": 0.33, "workers": 0}
    return load_params(ROOT / "params.yaml").train.model_copy(update=small | changes)


def make_trainer(
    model: HybridCausalLM, plan: PromptPlan, recipe: Train, folder: Path, *extra: TrainerCallback
) -> HybridTrainer:
    folder.mkdir(exist_ok=True)
    return HybridTrainer(
        model=model,
        args=training_arguments(recipe, plan.settings.n_steps, folder, seed=0),
        projector_lr=recipe.projector_lr,
        train_dataset=plan,
        data_collator=partial(collate, filler_id=1),
        callbacks=[CurveCallback(plan), *extra],
    )


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
