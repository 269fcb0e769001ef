"""Finetuning as a whole: from params and artifacts to a tuned model, its curve and its report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import peft
import torch
from torch import Tensor

from llara_core.errors import ModelError
from llara_core.finetuning.curve import CurveCallback
from llara_core.finetuning.shortage import explained_shortage
from llara_core.finetuning.trainer import HybridTrainer, training_arguments
from llara_core.finetuning.watch import Watch, WatchSettings
from llara_core.hybrid.adapter import AdapterManifest, attach_lora, build_hybrid
from llara_core.hybrid.attention import require_attention
from llara_core.hybrid.base_llm import load_base_llm, load_tokenizer
from llara_core.hybrid.division import divide_frozen
from llara_core.hybrid.llm_files import llm_digest
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.objective import Objective, Sources
from llara_core.objectives.registry import build_objective, layers_read
from llara_core.params.base import Section
from llara_core.params.params import Params
from llara_core.params.sections import Llm
from llara_core.prompting.chat import ChatFrame, chat_frame
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.model import SequentialRecommender
from llara_core.runtime.checkpoints import agreed_checkpoint
from llara_core.runtime.compute import choose_device, seed_torch
from llara_core.runtime.division import division, is_divided
from llara_core.runtime.fingerprint import experiment_fingerprint
from llara_core.runtime.logs import LOGGER
from llara_core.tables.embeddings import ItemEmbeddings
from llara_core.tables.lineage import Lineage
from llara_core.tables.processed import Processed


@dataclass(frozen=True)
class Tuned:
    """What finetuning leaves.

    Attributes:
        adapted: the language model with its LoRA weights, as peft saves them.
        model: the hybrid model around it.
        head: the objective's own weights, by name.
        manifest: what else rebuilds it.
        curve: a row per optimiser step.
        report: of metrics/finetune.json.
    """

    adapted: peft.PeftModel
    model: HybridCausalLM
    head: Mapping[str, Tensor]
    manifest: AdapterManifest
    curve: list[dict[str, Any]]
    report: dict[str, Any]


def tuning_fingerprint(params: Params, artifacts: Sequence[Path]) -> str:
    """Digest of all that decides the tuned weights: params, `artifacts`, the base model, code and libraries."""
    sections: list[Section] = [params.selected_llm, params.split, params.candidates.popularity, params.prompt]
    sections += [params.selected_dataset.nouns, params.projector, params.fusion, params.lora, params.curriculum]
    sections += [params.train, params.selected_objective]
    settings = {
        "seed": params.seed,
        "chat": frame.model_dump() if (frame := _frame(params)) else None,  # some templates write the day's date
        "lists": [params.candidates.size, params.candidates.negatives],
        "sections": [section.model_dump(mode="json") for section in sections],
        "template": params.eval.template,  # of the questions by which weights are chosen
        "llm": llm_digest(params.selected_llm),
    }
    return experiment_fingerprint(settings, artifacts)


def tune(
    params: Params,
    tables: Processed,
    recommender: SequentialRecommender,
    embeddings: ItemEmbeddings,
    checkpoints: Path,
) -> Tuned:
    """Tune projector and LoRA weights, and what else the objective has, on hybrid and text-only input.

    Args:
        params: all of params.yaml.
        tables: catalogue, sequences and candidate sets.
        recommender: whose item vectors the embeddings are.
        embeddings: from which behavioural tokens are projected.
        checkpoints: this experiment's folder; training goes on from what it holds.

    Raises:
        ModelError: the language model can't be had, its numbers become infinite, or a GPU's memory is used up.
    """
    require_loadable(params.selected_llm)
    tokenizer, max_length = load_tokenizer(params.selected_llm)
    base = _Base(params, embeddings)
    sources = Sources(
        params,
        tables,
        recommender.to(choose_device()).eval(),
        lambda: base.hybrid,
        PromptWriter.of(params.prompt, params.fusion, params.selected_dataset.nouns, tables.items.titles_by_id),
        PromptEncoder(tokenizer, max_length, _frame(params)),
    )
    made_from = embeddings.made_from | tables.lineage | {"embeddings": embeddings.digest}
    with explained_shortage(params):
        return _train(base, sources, made_from, checkpoints)


def require_loadable(llm: Llm) -> None:
    """Check what can be told before gigabytes of weights are fetched.

    Raises:
        ModelError: the model can't be loaded as its entry, or the launcher, asks for it.
    """
    require_attention(llm, choose_device())
    if is_divided() and llm.quantization is not None:
        raise ModelError(
            f"llms.*.quantization must be null where processes divide the model (launch/fsdp.yaml, zero3.yaml), got "
            f"{llm.quantization}; launch/ddp.yaml copies it"
        )


class _Base:
    """The language model that is tuned, loaded when it is first asked for."""

    def __init__(self, params: Params, embeddings: ItemEmbeddings) -> None:
        self._params, self._embeddings = params, embeddings

    @cached_property
    def adapted(self) -> peft.PeftModel:
        """The language model with fresh LoRA weights, divided among processes if they divide it."""
        params = self._params
        layers = layers_read(params.selected_objective)
        # What is divided must not be whole on a GPU, not even once.
        device = torch.device("cpu") if is_divided() else choose_device()
        llm = load_base_llm(params.selected_llm, device, layers, works_on=choose_device())
        seed_torch(params.seed)  # whatever loading has drawn, the new weights are the same
        adapted = attach_lora(llm, params.lora, params.selected_llm, layers)
        if by := division():
            divide_frozen(llm, choose_device(), by)
        return adapted

    @cached_property
    def hybrid(self) -> HybridCausalLM:
        """The hybrid model around it, with a fresh projector."""
        llm = self.adapted.get_base_model()
        if self._params.train.gradient_checkpointing:
            llm.gradient_checkpointing_enable()
        return build_hybrid(llm, self._embeddings.vectors, self._params.projector, self._params.fusion)


def _train(base: _Base, sources: Sources, made_from: Lineage, checkpoints: Path) -> Tuned:
    params, recipe = sources.params, sources.params.selected_objective
    objective = build_objective(params.train.objective.name, sources)
    validation = recipe.validation
    watch = Watch(
        objective.model,
        objective.validate,
        WatchSettings(objective.watched, validation.times, validation.patience, recipe.average, _first_step(objective)),
    )
    arguments = training_arguments(params.train, recipe, objective.plan.settings.n_steps, checkpoints, params.seed)
    trainer = HybridTrainer(objective, arguments, watch, [CurveCallback(objective.plan, watch)])
    checkpoint = agreed_checkpoint(checkpoints)
    untuned = objective.validate()
    LOGGER.info("untuned: validation %s %.4f", objective.watched, untuned)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    watch.restore_best()
    curve = [entry for entry in trainer.state.log_history if "loss" in entry]
    manifest = _manifest(params, sources.encoder.frame, objective, watch.best_step, made_from)
    found = {"untuned": untuned, "tuned": watch.scores[watch.best_step], "step": watch.best_step}
    report = {**_counts(objective, base.hybrid, len(curve)), "validation": {objective.watched: found}}
    return Tuned(base.adapted, base.hybrid, objective.head, manifest, curve, report)


def _frame(params: Params) -> ChatFrame | None:
    return chat_frame(load_tokenizer(params.selected_llm)[0]) if params.prompt.form == "chat" else None


def _manifest(
    params: Params, chat: ChatFrame | None, objective: Objective[Any], last_step: int, made_from: Lineage
) -> AdapterManifest:
    return AdapterManifest(
        llm=params.selected_llm,
        objective=params.train.objective.name,
        layers=layers_read(objective.recipe),
        prompt=params.prompt,
        chat=chat,
        nouns=params.selected_dataset.nouns,
        history_length=params.split.history_length,
        projector=params.projector,
        fusion=params.fusion,
        modes=objective.plan.modes_until(last_step),
        made_from={**made_from, "llm": llm_digest(params.selected_llm)},
    )


def _first_step(objective: Objective[Any]) -> int:
    """The first step in the mode by which weights are chosen, and which those that are chosen must know."""
    plan = objective.plan
    return next(step for step in range(1, plan.settings.n_steps + 1) if plan.last_mode in plan.modes_of(step))


def _counts(objective: Objective[Any], hybrid: HybridCausalLM, steps: int) -> dict[str, Any]:
    plan = objective.plan
    return {
        "steps": steps,
        "examples": steps * plan.settings.batch_size,
        "examples_by_mode": dict(Counter(sorted(mode for step in range(1, steps + 1) for mode in plan.modes_of(step)))),
        "trainable_parameters": {
            "lora": sum(p.numel() for p in hybrid.llm.parameters() if p.requires_grad),
            "projector": sum(p.numel() for p in hybrid.projector.parameters()),
            "head": sum(p.numel() for weights, _ in objective.rates()[2:] for p in weights),
        },
    }
