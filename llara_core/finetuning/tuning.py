"""Finetuning as a whole: from params and artifacts to a tuned model, its curve and its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
from torch import Tensor

from llara_core.finetuning.curve import CurveCallback
from llara_core.finetuning.trainer import HybridTrainer, training_arguments
from llara_core.finetuning.watch import Watch, WatchSettings
from llara_core.hybrid.adapter import AdapterManifest, attach_lora, build_hybrid
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.llm_files import llm_digest
from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.objective import Objective, Sources
from llara_core.objectives.registry import build_objective, layers_read
from llara_core.params.base import Section
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.model import SequentialRecommender
from llara_core.runtime.checkpoints import agreed_checkpoint
from llara_core.runtime.compute import choose_device, seed_torch
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
    sections: list[Section] = [params.selected_llm, params.split, params.candidates, params.prompt]
    sections += [params.selected_dataset.nouns, params.projector, params.lora, params.curriculum, params.train]
    sections += [params.selected_objective]
    settings = {
        "seed": params.seed,
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
    """
    seed_torch(params.seed)
    device, recipe = choose_device(), params.selected_objective
    layers = layers_read(recipe)
    llm, tokenizer = load_base_llm(params.selected_llm, device, layers)
    encoder = PromptEncoder(tokenizer, llm.config.max_position_embeddings)
    writer = PromptWriter.of(params.prompt, params.selected_dataset.nouns, tables.items.titles_by_id)
    seed_torch(params.seed)  # again: whatever loading has drawn, the new weights are the same
    adapted = attach_lora(llm, params.lora, params.selected_llm, layers)
    hybrid = build_hybrid(adapted.get_base_model(), embeddings.vectors, params.projector.hidden)
    if params.train.gradient_checkpointing:
        hybrid.llm.gradient_checkpointing_enable()
    sources = Sources(params, tables, recommender.to(device).eval(), hybrid, writer, encoder)
    objective = build_objective(params.train.objective.name, sources)
    validation = recipe.validation
    watch = Watch(
        objective.model,
        objective.validate,
        WatchSettings(objective.watched, validation.times, validation.patience, recipe.average),
    )
    arguments = training_arguments(params.train, recipe, objective.plan.settings.n_steps, checkpoints, params.seed)
    trainer = HybridTrainer(objective, arguments, watch, [CurveCallback(objective.plan, watch)])
    checkpoint = agreed_checkpoint(checkpoints)
    untuned = objective.validate()
    LOGGER.info("untuned: validation %s %.4f", objective.watched, untuned)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    watch.restore_best()
    curve = [entry for entry in trainer.state.log_history if "loss" in entry]
    made_from = embeddings.made_from | tables.lineage | {"embeddings": embeddings.digest}
    manifest = _manifest(params, objective, watch.best_step, made_from)
    found = {"untuned": untuned, "tuned": watch.scores[watch.best_step], "step": watch.best_step}
    report = {**_counts(objective, hybrid, len(curve)), "validation": {objective.watched: found}}
    return Tuned(adapted, hybrid, objective.head, manifest, curve, report)


def _manifest(params: Params, objective: Objective[Any], last_step: int, made_from: Lineage) -> AdapterManifest:
    return AdapterManifest(
        llm=params.selected_llm,
        objective=params.train.objective.name,
        layers=layers_read(objective.recipe),
        prompt=params.prompt,
        nouns=params.selected_dataset.nouns,
        history_length=params.split.history_length,
        projector_hidden=params.projector.hidden,
        modes=objective.plan.modes_until(last_step),
        made_from={**made_from, "llm": llm_digest(params.selected_llm)},
    )


def _counts(objective: Objective[Any], hybrid: HybridCausalLM, steps: int) -> dict[str, Any]:
    plan = objective.plan
    return {
        "steps": steps,
        "examples": steps * plan.settings.batch_size,
        "hybrid_steps": sum(plan.is_hybrid(step) for step in range(1, steps + 1)),
        "trainable_parameters": {
            "lora": sum(p.numel() for p in hybrid.llm.parameters() if p.requires_grad),
            "projector": sum(p.numel() for p in hybrid.projector.parameters()),
            "head": sum(tensor.numel() for tensor in objective.head.values()),
        },
    }
