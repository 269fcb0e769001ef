"""Evaluation as a whole: from artifacts that belong together to answers and metrics."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llara_core.evaluation.asking import ask
from llara_core.evaluation.metrics import answer_metrics
from llara_core.evaluation.recommenders import candidate_metrics
from llara_core.hybrid.adapter import AdapterManifest, load_adapter, read_manifest
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.llm_files import llm_digest
from llara_core.hybrid.questions import encode_questions
from llara_core.params.params import Params
from llara_core.params.sections import Eval
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.counting import baseline_scorers
from llara_core.recommenders.model import SequentialRecommender
from llara_core.recommenders.ranking import Scorer, neural_scorer
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
    """Ask the tuned language model for the test users' next items, beside its recommender and counting."""
    tables = artifacts.tables
    sets, all_sets = tables.sets.of("test", params.eval.draws), tables.sets.of("test")
    predictions = _ask(params.eval, artifacts, sets)
    matched = predictions.matched_items
    judged = answer_metrics(matched == sets.targets, matched != NO_ITEM, sets.user_ids)
    metrics: dict[str, dict[str, Any]] = {"llara": {"method": params.eval.method, **judged}}
    for name, score in _scorers(params, artifacts).items():
        for suffix, chosen in (("", sets), ("_all_draws", all_sets)):
            length = artifacts.manifest.history_length
            metrics[name + suffix] = candidate_metrics(score, tables.sequences, chosen, length)
    return Judged(sets, predictions, metrics)


def _ask(params: Eval, artifacts: Artifacts, sets: CandidateSets) -> Predictions:
    manifest, tables = artifacts.manifest, artifacts.tables
    mode = manifest.choose_mode(params.mode)
    llm, tokenizer = load_base_llm(manifest.llm, choose_device())
    model = load_adapter(artifacts.adapter, manifest, llm, artifacts.embeddings.vectors)
    encoder = PromptEncoder(tokenizer, llm.config.max_position_embeddings)
    writer = PromptWriter.of(manifest.prompt, manifest.nouns, tables.items.titles_by_id)
    prompts = encode_questions(
        sets,
        tables.sequences,
        writer,
        encoder,
        template=params.template,
        history_length=manifest.history_length,
        hybrid=mode == "hybrid",
    )
    return ask(model, prompts, sets.candidates, writer, encoder, params)


def _scorers(params: Params, artifacts: Artifacts) -> dict[str, Scorer]:
    sequences, items = artifacts.tables.sequences, artifacts.tables.items
    training = TrainingSequences(sequences.item_ids, *training_bounds(sequences), n_items=len(items))
    return {
        "recommender": neural_scorer(artifacts.recommender.to(choose_device())),
        **baseline_scorers(training, items.popularity, params.baselines),
    }
