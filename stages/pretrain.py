"""Stage pretrain: train the selected sequential recommender on the training users."""

from dataclasses import asdict, fields
from typing import Annotated, Any

import numpy as np
import typer

from llara_core.evaluation.recommenders import candidate_metrics
from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.recommenders.counting import markov_scorer, popularity_scorer
from llara_core.recommenders.losses.objective import Objective
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.recommenders.progress import Epoch, Progress
from llara_core.recommenders.ranking import RankingTask, Scorer, ndcg, neural_scorer, rank_catalogue, ranking_report
from llara_core.recommenders.saving import RecommenderConfig, save_recommender
from llara_core.recommenders.training import Recipe, train_recommender
from llara_core.recommenders.windows import TrainingSequences
from llara_core.runtime.checkpoints import discard_checkpoints, experiment_fingerprint, locked_checkpoints
from llara_core.runtime.compute import choose_device, is_main_process, n_processes, peak_memory_gib, seed_torch
from llara_core.runtime.curves import write_curve
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.runtime.logs import LOGGER
from llara_core.sequences.windows import Examples, all_positions, histories, last_positions, targets, training_bounds
from llara_core.tables.candidates import CandidateSets, read_candidates
from llara_core.tables.items import Items, read_items
from llara_core.tables.sequences import Sequences, read_sequences
from stages.command import PARAMS, ParamsPath, run
from stages.paths import CANDIDATES, CURVES, ITEMS, METRICS, RECOMMENDER, SEQUENCES


def pretrain(
    params_path: ParamsPath = PARAMS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore checkpoints of an interrupted run.")] = False,
) -> None:
    """Train the recommender, choosing the epoch by NDCG@10 over all positions of the validation users.

    Reads data/processed; writes data/recommender, data/curves/pretrain.csv, metrics/pretrain.json with the metrics of
    the recommender and of counting baselines, and metrics/pretrain_timing.json. A killed run goes on from its last
    checkpoint under .llara/checkpoints (or $LLARA_CHECKPOINT_DIR).
    """
    params = load_params(params_path)
    recipe, length = params.selected_recommender, params.split.history_length
    seed_torch(params.seed)
    items = read_items(ITEMS)
    model = build_recommender(recipe, len(items), length).to(choose_device())
    sequences = read_sequences(SEQUENCES, items.digest, len(items))
    training = TrainingSequences(sequences.item_ids, *training_bounds(sequences), n_items=len(items))
    progress = _train(params, model, items, sequences, training, fresh=fresh)
    if not is_main_process():
        return
    with atomic_directory(RECOMMENDER) as folder:
        config = RecommenderConfig(
            recommender=recipe, n_items=len(items), history_length=length, items_digest=items.digest
        )
        save_recommender(folder, model, config)
    rows = [asdict(epoch) for epoch in progress.curve]
    write_curve(CURVES / "pretrain.csv", rows, [field.name for field in fields(Epoch)])
    scorers = {
        "recommender": neural_scorer(model),
        "co_occurrence": markov_scorer(training, params.baselines),
        "popularity": popularity_scorer(items.popularity),
    }
    _write_reports(params, scorers, sequences, training, progress)


def _train(
    params: Params,
    model: SequentialRecommender,
    items: Items,
    sequences: Sequences,
    training: TrainingSequences,
    *,
    fresh: bool,
) -> Progress:
    objective = Objective(model, params.pretrain.loss, items.popularity)
    positions = _validation_positions(params, sequences)
    task = _ranking_task(params, sequences, positions)
    LOGGER.info(
        "%s: %d sequences with %d targets an epoch, %d positions for validation",
        params.recommender.name,
        len(training.starts),
        training.n_targets,
        len(positions),
    )

    def validate(candidate: SequentialRecommender) -> float:
        return ndcg(rank_catalogue(neural_scorer(candidate), task, len(items)).ranks, 10)

    recipe = Recipe(params.selected_recommender, params.pretrain, params.seed)
    sections = [recipe.recommender, recipe.pretrain, params.split]
    settings = {"seed": params.seed, "sections": [section.model_dump(mode="json") for section in sections]}
    with locked_checkpoints("pretrain", experiment_fingerprint(settings, [ITEMS, SEQUENCES])) as folder:
        if fresh and is_main_process():
            discard_checkpoints(folder)
        return train_recommender(objective, training, validate, recipe, folder)


def _validation_positions(params: Params, sequences: Sequences) -> Examples:
    """All positions of the validation users, or as many of them as `validation_examples` allows, evenly spread."""
    found = all_positions(sequences, "validation", params.split.min_history)
    limit = params.pretrain.validation_examples
    if limit is None or len(found) <= limit:
        return found
    kept = np.arange(limit) * len(found) // limit
    return Examples(found.rows[kept], found.positions[kept])


def _ranking_task(params: Params, sequences: Sequences, examples: Examples) -> RankingTask:
    def seen(example: int) -> np.ndarray:
        return sequences.items_of(examples.rows[example])[: examples.positions[example]]

    return RankingTask(
        histories(sequences, examples, params.split.history_length),
        targets(sequences, examples),
        seen if params.pretrain.exclude_seen else None,
    )


def _write_reports(
    params: Params,
    scorers: dict[str, Scorer],
    sequences: Sequences,
    training: TrainingSequences,
    progress: Progress,
) -> None:
    best = progress.best
    sets = read_candidates(CANDIDATES, read_items(ITEMS).digest)
    report: dict[str, Any] = {
        split: {
            name: _judge(params, score, sequences, training.n_items, sets.of(split), split)
            for name, score in scorers.items()
        }
        for split in ("validation", "test")
    }
    write_json(
        METRICS / "pretrain.json",
        {"best_epoch": best.epoch if best else 0, "epochs": len(progress.curve), "steps": progress.step, **report},
    )
    seconds = progress.training_seconds
    write_json(
        METRICS / "pretrain_timing.json",
        {
            "training_seconds": seconds,
            "training_seconds_to_best": progress.seconds_to_best,
            "validation_seconds": progress.validation_seconds,
            "targets_per_second": training.n_targets * len(progress.curve) / seconds,
            "peak_memory_gib": peak_memory_gib(),
            "processes": n_processes(),
            "device": choose_device().type,
        },
    )
    for name, judged in report["test"].items():
        chosen = judged["candidates"]
        LOGGER.info(
            "test, %-13s HR@1 among candidates %.3f [%.3f, %.3f]; NDCG@10 among all items %.3f",
            name,
            chosen["hit_ratio_at_1"],
            chosen["hit_ratio_at_1_low"],
            chosen["hit_ratio_at_1_high"],
            judged["ndcg_at_10"],
        )


def _judge(
    params: Params, score: Scorer, sequences: Sequences, n_items: int, sets: CandidateSets, split: str
) -> dict[str, Any]:
    task = _ranking_task(params, sequences, last_positions(sequences, split))
    return {
        **ranking_report(rank_catalogue(score, task, n_items)),
        "candidates": candidate_metrics(score, sequences, sets, params.split.history_length),
    }


if __name__ == "__main__":
    run(pretrain)
