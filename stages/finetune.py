"""Stage finetune: curriculum LoRA tuning of the base LLM with hybrid prompts."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import typer

from llara_core.finetuning.curve import CURVE_COLUMNS, CurveCallback
from llara_core.finetuning.plan import PlanSettings, TrainingPlan
from llara_core.finetuning.trainer import HybridTrainer, collate, training_arguments
from llara_core.finetuning.validation import answer_loss
from llara_core.hybrid.adapter import AdapterManifest, attach_lora, build_hybrid, save_adapter
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.questions import encode_questions
from llara_core.params.base import Section
from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.runtime.checkpoints import (
    discard_checkpoints,
    experiment_fingerprint,
    latest_checkpoint,
    locked_checkpoints,
)
from llara_core.runtime.compute import choose_device, is_main_process, seed_torch
from llara_core.runtime.curves import write_curve
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.runtime.logs import LOGGER
from llara_core.sequences.windows import all_positions
from llara_core.tables.candidates import read_candidates
from llara_core.tables.embeddings import read_embeddings
from llara_core.tables.items import Items, read_items
from llara_core.tables.sequences import Sequences, read_sequences
from stages.command import PARAMS, ParamsPath, run
from stages.paths import ADAPTER, CANDIDATES, CURVES, EMBEDDINGS, ITEMS, METRICS, SEQUENCES


@dataclass(frozen=True)
class _Inputs:
    items: Items
    sequences: Sequences
    embeddings: np.ndarray
    writer: PromptWriter


def finetune(
    params_path: ParamsPath = PARAMS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore checkpoints of an interrupted run.")] = False,
) -> None:
    """Tune projector and LoRA weights on the answers of hybrid and text-only prompts.

    Reads data/processed and data/embeddings; writes data/adapter, data/curves/finetune.csv and metrics/finetune.json.
    A killed run goes on from its last checkpoint under .llara/checkpoints (or $LLARA_CHECKPOINT_DIR).
    """
    params = load_params(params_path)
    inputs = _read_inputs(params)
    llm, tokenizer = load_base_llm(params.selected_llm, choose_device())
    encoder = PromptEncoder(tokenizer, llm.config.max_position_embeddings)
    plan = _make_plan(params, inputs, encoder)
    questions = {hybrid: _validation_questions(params, inputs, encoder, hybrid=hybrid) for hybrid in (False, True)}
    seed_torch(params.seed)
    adapted = attach_lora(llm, params.lora, params.selected_llm)
    model = build_hybrid(adapted.get_base_model(), inputs.embeddings, params.projector.hidden)
    if params.train.gradient_checkpointing:
        model.llm.gradient_checkpointing_enable()

    def losses() -> dict[str, float]:
        size = params.train.micro_batch_size
        return {
            name: answer_loss(model, questions[hybrid], encoder.filler_id, size)
            for name, hybrid in (("text_only", False), ("hybrid", True))
        }

    untuned = losses()
    LOGGER.info("validation loss on answer tokens, untuned: %s", _show(untuned))
    trainer = _train(params, model, plan, encoder, fresh=fresh)
    tuned = losses()
    LOGGER.info("validation loss on answer tokens, tuned:   %s", _show(tuned))
    if not is_main_process():
        return
    with atomic_directory(ADAPTER) as folder:
        save_adapter(folder, adapted, model.projector, _manifest(params, inputs))
    rows = [entry for entry in trainer.state.log_history if "loss" in entry]
    write_curve(CURVES / "finetune.csv", rows, CURVE_COLUMNS)
    write_json(
        METRICS / "finetune.json",
        {
            "steps": plan.settings.n_steps,
            "examples": len(plan),
            "hybrid_steps": sum(plan.is_hybrid(step) for step in range(1, plan.settings.n_steps + 1)),
            "trainable_parameters": {
                "lora": sum(p.numel() for p in model.llm.parameters() if p.requires_grad),
                "projector": sum(p.numel() for p in model.projector.parameters()),
            },
            "validation_loss": {"untuned": untuned, "tuned": tuned, "n_examples": len(questions[True])},
        },
    )


def _read_inputs(params: Params) -> _Inputs:
    items = read_items(ITEMS)
    embeddings = read_embeddings(EMBEDDINGS, items.digest, len(items), params.selected_recommender.dim)
    writer = PromptWriter.of(params.prompt, params.selected_dataset.nouns, items.titles_by_id)
    return _Inputs(items, read_sequences(SEQUENCES, items.digest, len(items)), embeddings, writer)


def _make_plan(params: Params, inputs: _Inputs, encoder: PromptEncoder) -> TrainingPlan:
    examples = all_positions(inputs.sequences, "train", params.split.min_history)
    n_examples = params.curriculum.epochs * params.curriculum.examples_per_epoch
    settings = PlanSettings(
        seed=params.seed,
        schedule=params.curriculum.schedule,
        n_steps=math.ceil(n_examples / params.train.batch_size),
        batch_size=params.train.batch_size,
        n_candidates=params.candidates.size,
        negatives=params.candidates.negatives,
        history_length=params.split.history_length,
    )
    return TrainingPlan(inputs.sequences, examples, len(inputs.items), inputs.writer, encoder, settings)


def _validation_questions(
    params: Params, inputs: _Inputs, encoder: PromptEncoder, *, hybrid: bool
) -> list[tuple[EncodedPrompt, list[int]]]:
    sets = read_candidates(CANDIDATES, inputs.items.digest).of("validation", n_draws=1)
    sets = sets.select(np.arange(min(len(sets), params.train.validation_examples)))
    length = params.split.history_length
    prompts = encode_questions(
        sets,
        inputs.sequences,
        inputs.writer,
        encoder,
        template=params.eval.template,
        history_length=length,
        hybrid=hybrid,
    )
    answers = [encoder.encode_answer(inputs.writer.answer(int(target))) for target in sets.targets]
    return list(zip(prompts, answers, strict=True))


def _train(
    params: Params, model: HybridCausalLM, plan: TrainingPlan, encoder: PromptEncoder, *, fresh: bool
) -> HybridTrainer:
    sections: list[Section] = [params.selected_llm, params.split, params.candidates, params.prompt]
    sections += [params.selected_dataset.nouns, params.projector, params.lora, params.curriculum, params.train]
    settings = {"seed": params.seed, "sections": [section.model_dump(mode="json") for section in sections]}
    fingerprint = experiment_fingerprint(settings, [ITEMS, SEQUENCES, EMBEDDINGS])
    with locked_checkpoints("finetune", fingerprint) as folder:
        if fresh:
            discard_checkpoints(folder)
        trainer = HybridTrainer(
            model=model,
            args=training_arguments(params.train, plan.settings.n_steps, folder, params.seed),
            projector_lr=params.train.projector_lr,
            train_dataset=plan,
            data_collator=partial(collate, filler_id=encoder.filler_id),
            callbacks=[CurveCallback(plan)],
        )
        checkpoint = latest_checkpoint(folder)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return trainer


def _manifest(params: Params, inputs: _Inputs) -> AdapterManifest:
    return AdapterManifest(
        llm=params.selected_llm,
        prompt=params.prompt,
        nouns=params.selected_dataset.nouns,
        history_length=params.split.history_length,
        embedding_dim=inputs.embeddings.shape[1],
        projector_hidden=params.projector.hidden,
        items_digest=inputs.items.digest,
    )


def _show(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())


if __name__ == "__main__":
    run(finetune)
