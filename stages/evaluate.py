"""Stage evaluate: ask the tuned LLM for the next item, beside the recommender alone and counting."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from llara_core.errors import ArtifactError
from llara_core.evaluation.asking import ask
from llara_core.evaluation.metrics import answer_metrics
from llara_core.evaluation.recommenders import candidate_metrics
from llara_core.hybrid.adapter import AdapterManifest, load_adapter, read_manifest
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.questions import encode_questions
from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.counting import markov_scorer, popularity_scorer
from llara_core.recommenders.ranking import Scorer, neural_scorer
from llara_core.recommenders.saving import load_recommender
from llara_core.recommenders.windows import TrainingSequences
from llara_core.runtime.compute import choose_device, seed_torch
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.sequences.windows import training_bounds
from llara_core.tables.candidates import CandidateSets, read_candidates
from llara_core.tables.embeddings import read_embeddings
from llara_core.tables.items import Items, read_items
from llara_core.tables.predictions import NO_ITEM, Predictions, write_predictions
from llara_core.tables.sequences import Sequences, read_sequences
from stages.command import PARAMS, ParamsPath, run
from stages.paths import ADAPTER, CANDIDATES, EMBEDDINGS, ITEMS, METRICS, PREDICTIONS, RECOMMENDER, SEQUENCES

_METRICS = METRICS / "evaluate.json"
_TABLE_WIDTH = 90  # where no terminal tells, as under DVC, rich would break the labels


def evaluate(
    params_path: ParamsPath = PARAMS,
    show: Annotated[bool, typer.Option("--show", help="Only print the table of the last evaluation.")] = False,
) -> None:
    """Judge the tuned LLM on the test users' candidate sets.

    Reads all earlier artifacts; writes data/predictions and metrics/evaluate.json, and prints a table.
    """
    if not show:
        params = load_params(params_path)
        seed_torch(params.seed)
        _evaluate(params)
    _print_table()


def _evaluate(params: Params) -> None:
    items = read_items(ITEMS)
    sequences = read_sequences(SEQUENCES, items.digest, len(items))
    manifest = read_manifest(ADAPTER, items.digest)
    stored = read_candidates(CANDIDATES, items.digest)
    sets, all_sets = stored.of("test", params.eval.draws), stored.of("test")
    predictions = _ask(params, manifest, items, sequences, sets)
    with atomic_directory(PREDICTIONS) as folder:
        write_predictions(folder / "test.parquet", predictions, sets, items.digest)
    matched = predictions.matched_items
    judged = answer_metrics(matched == sets.targets, matched != NO_ITEM, sets.user_ids)
    metrics: dict[str, dict[str, Any]] = {"llara": {"method": params.eval.method, **judged}}
    for name, score in _scorers(params, items, sequences).items():
        for suffix, chosen in (("", sets), ("_all_draws", all_sets)):
            metrics[name + suffix] = candidate_metrics(score, sequences, chosen, manifest.history_length)
    write_json(_METRICS, metrics)


def _ask(
    params: Params, manifest: AdapterManifest, items: Items, sequences: Sequences, sets: CandidateSets
) -> Predictions:
    embeddings = read_embeddings(EMBEDDINGS, items.digest, len(items), manifest.embedding_dim)
    llm, tokenizer = load_base_llm(manifest.llm, choose_device())
    model = load_adapter(ADAPTER, manifest, llm, embeddings)
    encoder = PromptEncoder(tokenizer, llm.config.max_position_embeddings)
    writer = PromptWriter.of(manifest.prompt, manifest.nouns, items.titles_by_id)
    length = manifest.history_length
    prompts = encode_questions(
        sets,
        sequences,
        writer,
        encoder,
        template=params.eval.template,
        history_length=length,
        hybrid=params.eval.hybrid,
    )
    return ask(model, prompts, sets.candidates, writer, encoder, params.eval)


def _scorers(params: Params, items: Items, sequences: Sequences) -> dict[str, Scorer]:
    training = TrainingSequences(sequences.item_ids, *training_bounds(sequences), n_items=len(items))
    return {
        "recommender": neural_scorer(load_recommender(RECOMMENDER, items.digest).to(choose_device())),
        "co_occurrence": markov_scorer(training, params.baselines),
        "popularity": popularity_scorer(items.popularity),
    }


def _print_table() -> None:
    if not _METRICS.is_file():
        raise ArtifactError(f"{_METRICS}: no such file; run `dvc repro`")
    table = Table("model", "HitRatio@1", "95 % interval", "ValidRatio", "sets", "users")
    for name, entry in json.loads(_METRICS.read_text(encoding="utf-8")).items():
        interval = f"[{entry['hit_ratio_at_1_low']:.3f}, {entry['hit_ratio_at_1_high']:.3f}]"
        label = f"{name} ({entry['method']})" if "method" in entry else name
        counts = (str(entry["n_examples"]), str(entry["n_users"]))
        table.add_row(label, f"{entry['hit_ratio_at_1']:.3f}", interval, f"{entry['valid_ratio']:.3f}", *counts)
    Console(width=max(Console().width, _TABLE_WIDTH)).print(table)


if __name__ == "__main__":
    run(evaluate)
