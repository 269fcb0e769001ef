"""Evaluation as a whole: from artifacts that belong together to answers and metrics."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llara_core.errors import ArtifactError
from llara_core.evaluation.blending import blend, choose_weight
from llara_core.evaluation.metrics import answer_metrics
from llara_core.evaluation.recommenders import candidate_metrics, list_scores, rank_metrics
from llara_core.hybrid.adapter import AdapterManifest, load_adapter, read_head, read_manifest
from llara_core.hybrid.base_llm import load_base_llm, load_tokenizer
from llara_core.hybrid.llm_files import llm_digest
from llara_core.objectives.asking import Respondent, Tuned, build_respondent
from llara_core.params.params import Params
from llara_core.params.sections import Eval
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.counting import baseline_scorers
from llara_core.recommenders.model import SequentialRecommender
from llara_core.recommenders.ranking import Scorer, neural_scorer, ranks
from llara_core.recommenders.saving import load_recommender
from llara_core.recommenders.windows import TrainingSequences
from llara_core.runtime.compute import choose_device
from llara_core.runtime.files import sha256_of_folder
from llara_core.sequences.windows import training_bounds
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.embeddings import ItemEmbeddings, read_embeddings
from llara_core.tables.lineage import Lineage, require_lineage
from llara_core.tables.predictions import NO_ITEM, Predictions
from llara_core.tables.processed import Processed, read_processed


@dataclass(frozen=True)
class Artifacts:
    """What is judged, and on what; made from one another.

    Attributes:
        tables: catalogue, sequences and candidate sets.
        recommender: in evaluation mode.
        embeddings: the recommender's, as the adapter was trained with.
        adapter: its folder.
        manifest: the adapter's.
        lineage: digests of all of them, for what is made from them.
    """

    tables: Processed
    recommender: SequentialRecommender
    embeddings: ItemEmbeddings
    adapter: Path
    manifest: AdapterManifest
    lineage: Lineage


def read_artifacts(processed: Path, recommender: Path, embeddings: Path, adapter: Path) -> Artifacts:
    """Read what earlier stages left.

    Raises:
        ArtifactError: a part is missing or damaged, or was made from others than those beside it.
    """
    tables = read_processed(processed)
    model, lineage = load_recommender(recommender, tables.lineage)
    vectors = read_embeddings(embeddings, lineage, len(tables.items))
    lineage = {**lineage, "embeddings": vectors.digest}
    manifest = read_manifest(adapter, lineage)
    base = {"llm": llm_digest(manifest.llm)}
    require_lineage(adapter, manifest.made_from, base, "DVC doesn't see it: run `dvc repro --force finetune`")
    lineage |= {"candidates": tables.sets.digest, "adapter": sha256_of_folder(adapter)}
    return Artifacts(tables, model, vectors, adapter, manifest, lineage)


@dataclass(frozen=True)
class Judged:
    """Answers to `sets`, and the metrics of every model by name."""

    sets: CandidateSets
    predictions: Predictions
    metrics: dict[str, dict[str, Any]]


def judge(params: Params, artifacts: Artifacts) -> Judged:
    """Ask the tuned language model for the test users' next items, beside its recommender and counting.

    Raises:
        ArtifactError: the adapter's objective doesn't fit eval.method.
    """
    tables, length = artifacts.tables, artifacts.manifest.history_length
    respondent = build_asked(params.eval, artifacts)
    all_sets = tables.sets.of("test")
    sets = respondent.choose(all_sets)
    predictions = respondent.answer(sets)
    matched = predictions.matched_items
    judged = answer_metrics(matched == sets.targets, matched != NO_ITEM, sets.user_ids)
    cold = tables.items.popularity[sets.targets] == 0
    judged |= _cold(matched == sets.targets, cold)
    metrics: dict[str, dict[str, Any]] = {"llara": {"method": params.eval.method, **judged}}
    scorers = _scorers(params, artifacts)
    scores = {name: list_scores(score, tables.sequences, sets, length) for name, score in scorers.items()}
    if predictions.scores is not None:
        weight = _choose_weight(respondent, scorers["recommender"], artifacts)
        rank = ranks(blend(predictions.scores, scores["recommender"], weight), sets.target_indices)
        both = answer_metrics(rank == 1, np.ones(len(sets), dtype=bool), sets.user_ids)
        metrics["llara_with_recommender"] = {"weight": weight, **both, **_cold(rank == 1, cold)}
    for name, found in scores.items():
        rank = ranks(found, sets.target_indices)
        metrics[name] = {**rank_metrics(rank, sets.user_ids), **_cold(rank == 1, cold)}
        if len(sets) < len(all_sets):
            metrics[f"{name}_all_draws"] = candidate_metrics(scorers[name], tables.sequences, all_sets, length)
    return Judged(sets, predictions, metrics)


def build_asked(params: Eval, artifacts: Artifacts) -> Respondent:
    """Load the tuned language model, ready to answer.

    Raises:
        ArtifactError: the adapter's objective or modes don't fit params, or it lacks what it needs.
    """
    manifest, tables = artifacts.manifest, artifacts.tables
    if params.method == "generation" and manifest.objective != "answer":
        raise ArtifactError(
            f"eval.method must be scoring for {artifacts.adapter}, which was trained by {manifest.objective}, got "
            "generation"
        )
    manifest.choose_mode(params.mode)  # refuses before anything is loaded
    head = read_head(artifacts.adapter, artifacts.recommender.output_weights)
    tokenizer, max_length = load_tokenizer(manifest.llm)
    llm = load_base_llm(manifest.llm, choose_device(), manifest.layers)
    hybrid = load_adapter(artifacts.adapter, manifest, llm, artifacts.embeddings.vectors)
    encoder = PromptEncoder(tokenizer, max_length)
    writer = PromptWriter.of(manifest.prompt, manifest.nouns, tables.items.titles_by_id)
    recommender = artifacts.recommender.to(choose_device())
    return build_respondent(
        Tuned(hybrid, artifacts.adapter, manifest, head, recommender, tables, writer, encoder, params)
    )


def _choose_weight(respondent: Respondent, score: Scorer, artifacts: Artifacts) -> float:
    """Weight of the language model's scores against the recommender's that is best on the validation lists."""
    asked = respondent.choose(artifacts.tables.sets.of("validation"))
    answered = respondent.answer(asked).scores
    if answered is None:
        raise ValueError("a respondent must score validation lists as it scores test lists")
    length = artifacts.manifest.history_length
    return choose_weight(answered, list_scores(score, artifacts.tables.sequences, asked, length), asked.target_indices)


def _cold(correct: np.ndarray, cold: np.ndarray) -> dict[str, float | int]:
    """HitRatio@1 of targets without training interactions, and their number; nothing where there are none."""
    return {"hit_ratio_at_1_cold": float(correct[cold].mean()), "n_cold": int(cold.sum())} if cold.any() else {}


def _scorers(params: Params, artifacts: Artifacts) -> dict[str, Scorer]:
    sequences, items = artifacts.tables.sequences, artifacts.tables.items
    training = TrainingSequences(sequences.item_ids, *training_bounds(sequences), n_items=len(items))
    return {
        "recommender": neural_scorer(artifacts.recommender.to(choose_device())),
        **baseline_scorers(training, items.popularity, params.baselines),
    }
