"""A whole repository in small: what all stages leave behind, of a tiny Llama tuned for any objective."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from ruamel.yaml import YAML

from llara_core.evaluation.artifacts import read_artifacts
from llara_core.evaluation.judging import judge
from llara_core.evaluation.report import headline
from llara_core.finetuning.tuning import tune
from llara_core.hybrid.adapter import save_adapter
from llara_core.params.objectives import ObjectiveChoice
from llara_core.params.params import Params
from llara_core.params.sections import AllPositions, Draws
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from llara_core.runtime import paths
from llara_core.runtime.files import write_metrics
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.candidates import write_candidates
from llara_core.tables.embeddings import ItemEmbeddings, read_embeddings, write_embeddings
from llara_core.tables.items import Items
from llara_core.tables.predictions import write_predictions
from llara_core.tables.processed import Processed, read_processed, write_processed
from tests.conftest import TITLES
from tests.factories import folder_llm, make_sequences
from tests.recommenders.recipes import tiny

LISTS = [[1, 2, 3, 4, 5, 6], [5, 6, 7, 1, 2], [2, 8, 1, 4], [3, 5, 7, 2, 6], [8, 3, 1], [4, 1, 6, 3, 8, 2]]
LENGTH = 3
N_ITEMS = len(TITLES) - 1


def tiny_params(params: Params, llm: Path, objective: str, **evaluation: Any) -> Params:
    small: dict[str, Any] = {"examples_per_epoch": 4, "batch_size": 2, "micro_batch_size": 2, "lr": 0.02}
    small |= {} if objective == "answer" else {"layers": 1}
    stream = {"chunk_tokens": 60, "projector_lr": 0.02, "head_lr": 0.02, "item_dropout": 0.0}
    stream["validation"] = params.objectives.stream.validation.model_copy(update={"positions": 9, "times": 1})
    recipe = getattr(params.objectives, objective).model_copy(update=small | (stream if objective == "stream" else {}))
    lists = {
        "size": 3,
        "negatives": "outside_recent",
        "draws": Draws(validation=2, test=3),
        "all_positions": AllPositions(limit=100, draws=2),
    }
    caser = params.recommenders["caser"]
    context = caser.encoder.model_copy(update={"context": LENGTH, "heights": [1, 2]})
    changes = {
        "recommenders": {**params.recommenders, "caser": caser.model_copy(update={"encoder": context})},
        "objectives": params.objectives.model_copy(update={objective: recipe}),
        "candidates": params.candidates.model_copy(update=lists),
        "split": params.split.model_copy(update={"min_history": 1, "history_length": LENGTH}),
        "projector": params.projector.model_copy(update={"hidden": 6}),
        "lora": params.lora.model_copy(update={"rank": 2, "alpha": 4}),
        "curriculum": params.curriculum.model_copy(update={"schedule": "hybrid_only", "epochs": 1}),
        "train": params.train.model_copy(update={"objective": ObjectiveChoice(name=objective)}),
        "llm": params.llm.model_copy(update={"name": "tiny"}),
        "llms": {"tiny": folder_llm(llm)},
        "eval": params.eval.model_copy(update={"batch_size": 2, "probes": [], **evaluation}),
    }
    return params.model_copy(update=changes)


def make_repository(root: Path, params: Params) -> None:
    """Do what all stages do, from processed tables to the evaluation, below `root`; write params.yaml too."""
    tables = _tables(root, params)
    config = {"recommender": tiny("sasrec"), "n_items": N_ITEMS, "history_length": LENGTH}
    (root / paths.RECOMMENDER).mkdir()
    torch.manual_seed(3)
    saved = RecommenderConfig(**config, made_from=tables.lineage)
    save_recommender(root / paths.RECOMMENDER, build_recommender(tiny("sasrec"), N_ITEMS, LENGTH), saved)
    recommender, lineage = load_recommender(root / paths.RECOMMENDER, tables.lineage)
    write_embeddings(root / paths.EMBEDDINGS, ItemEmbeddings(recommender.items.weight.detach().numpy(), lineage))
    embeddings = read_embeddings(root / paths.EMBEDDINGS, lineage, N_ITEMS)
    for name in (root / paths.ADAPTER, root / "checkpoints", root / "pieces"):
        name.mkdir()
    tuned = tune(params, tables, recommender, embeddings, root / "checkpoints")
    save_adapter(root / paths.ADAPTER, tuned.adapted, tuned.model.projector, tuned.manifest, tuned.head)
    evaluate(root, params)
    content = params.model_dump(mode="json")
    YAML().dump(content, root / "params.yaml")


def evaluate(root: Path, params: Params) -> None:
    parts = (paths.PROCESSED, paths.RECOMMENDER, paths.EMBEDDINGS, paths.ADAPTER, paths.CANDIDATES)
    artifacts = read_artifacts(*(root / part for part in parts))
    judged = judge(params, artifacts, root / "pieces")
    assert judged is not None
    (root / paths.PREDICTIONS).mkdir()
    write_predictions(root / paths.PREDICTIONS, judged.answered, artifacts.lineage)
    write_metrics(root / paths.METRICS / "evaluate.json", headline(judged.answered, judged.weight))


def _tables(root: Path, params: Params) -> Processed:
    """Leave one out: each user's last item tests and the one before validates."""
    made = make_sequences(LISTS, ["train"] * len(LISTS))
    ends = {"train_end": made.lengths - 2, "validation_end": made.lengths - 1}
    sequences = replace(made, **{name: end.astype(np.int32) for name, end in ends.items()})
    names = pa.array(TITLES[1:])
    items = Items(names, names, sequences.count_training(N_ITEMS))
    sets = build_candidate_sets(sequences, N_ITEMS, params.candidates, LENGTH, 1)
    write_processed(root / paths.PROCESSED, Processed(items, sequences, sets))
    tables = read_processed(root / paths.PROCESSED)
    write_candidates(root / paths.CANDIDATES, tables.sets, tables.items, tables.sequences)
    return tables
