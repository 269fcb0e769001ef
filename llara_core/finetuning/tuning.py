"""Finetuning as a whole: from params and artifacts to a tuned model, its curve and its report."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import peft

from llara_core.finetuning.curve import CurveCallback
from llara_core.finetuning.plan import TrainingPlan, plan_training
from llara_core.finetuning.trainer import HybridTrainer, collate, training_arguments
from llara_core.finetuning.validation import validation_losses, validation_questions
from llara_core.hybrid.adapter import AdapterManifest, attach_lora, build_hybrid
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.llm_files import llm_digest
from llara_core.hybrid.model import HybridCausalLM
from llara_core.params.base import Section
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
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
        manifest: what else rebuilds it.
        curve: a row per optimiser step.
        report: of metrics/finetune.json.
    """

    adapted: peft.PeftModel
    model: HybridCausalLM
    manifest: AdapterManifest
    curve: list[dict[str, Any]]
    report: dict[str, Any]


def tuning_fingerprint(params: Params, artifacts: Sequence[Path]) -> str:
    """Digest of all that decides the tuned weights: params, `artifacts`, the base model, code and libraries."""
    sections: list[Section] = [params.selected_llm, params.split, params.candidates, params.prompt]
    sections += [params.selected_dataset.nouns, params.projector, params.lora, params.curriculum, params.train]
    settings = {"seed": params.seed, "sections": [section.model_dump(mode="json") for section in sections]}
    return experiment_fingerprint({**settings, "llm": llm_digest(params.selected_llm)}, artifacts)


def tune(params: Params, tables: Processed, embeddings: ItemEmbeddings, checkpoints: Path) -> Tuned:
    """Tune projector and LoRA weights on the answers of hybrid and text-only prompts.

    Args:
        params: all of params.yaml.
        tables: catalogue, sequences and candidate sets.
        embeddings: the recommender's, from which behavioural tokens are projected.
        checkpoints: this experiment's folder; training goes on from what it holds.
    """
    seed_torch(params.seed)
    llm, tokenizer = load_base_llm(params.selected_llm, choose_device())
    encoder = PromptEncoder(tokenizer, llm.config.max_position_embeddings)
    writer = PromptWriter.of(params.prompt, params.selected_dataset.nouns, tables.items.titles_by_id)
    plan = plan_training(params, tables.sequences, len(tables.items), writer, encoder)
    questions = validation_questions(params, tables.sequences, tables.sets, writer, encoder)
    seed_torch(params.seed)  # again: whatever loading has drawn, the new weights are the same
    adapted = attach_lora(llm, params.lora, params.selected_llm)
    model = build_hybrid(adapted.get_base_model(), embeddings.vectors, params.projector.hidden)
    if params.train.gradient_checkpointing:
        model.llm.gradient_checkpointing_enable()
    trainer = HybridTrainer(
        model=model,
        args=training_arguments(params.train, plan.settings.n_steps, checkpoints, params.seed),
        projector_lr=params.train.projector_lr,
        train_dataset=plan,
        data_collator=partial(collate, filler_id=encoder.filler_id),
        callbacks=[CurveCallback(plan)],
    )
    untuned = validation_losses(model, questions, encoder.filler_id, params.train)
    LOGGER.info("validation loss on answer tokens, untuned: %s", _show(untuned))
    checkpoint = agreed_checkpoint(checkpoints)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    tuned = validation_losses(model, questions, encoder.filler_id, params.train)
    LOGGER.info("validation loss on answer tokens, tuned:   %s", _show(tuned))
    losses = {"untuned": untuned, "tuned": tuned, "n_examples": len(questions["hybrid"])}
    curve = [entry for entry in trainer.state.log_history if "loss" in entry]
    manifest = _manifest(params, plan, embeddings.made_from | tables.lineage | {"embeddings": embeddings.digest})
    return Tuned(adapted, model, manifest, curve, {**_counts(plan, model), "validation_loss": losses})


def _manifest(params: Params, plan: TrainingPlan, made_from: Lineage) -> AdapterManifest:
    return AdapterManifest(
        llm=params.selected_llm,
        prompt=params.prompt,
        nouns=params.selected_dataset.nouns,
        history_length=params.split.history_length,
        projector_hidden=params.projector.hidden,
        modes=plan.modes,
        made_from={**made_from, "llm": llm_digest(params.selected_llm)},
    )


def _counts(plan: TrainingPlan, model: HybridCausalLM) -> dict[str, Any]:
    return {
        "steps": plan.settings.n_steps,
        "examples": len(plan),
        "hybrid_steps": sum(plan.is_hybrid(step) for step in range(1, plan.settings.n_steps + 1)),
        "trainable_parameters": {
            "lora": sum(p.numel() for p in model.llm.parameters() if p.requires_grad),
            "projector": sum(p.numel() for p in model.projector.parameters()),
        },
    }


def _show(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
