"""The recommender beside counting baselines, on validation and test."""

from dataclasses import asdict, fields
from typing import Any

from llara_core.evaluation.recommenders import candidate_metrics
from llara_core.params.params import Params
from llara_core.pretraining.pretraining import Pretrained
from llara_core.pretraining.tasks import last_item_task
from llara_core.recommenders.counting import baseline_scorers
from llara_core.recommenders.progress import Epoch
from llara_core.recommenders.ranking import neural_scorer, rank_catalogue, ranking_report
from llara_core.runtime.compute import choose_device, peak_memory_gib
from llara_core.runtime.processes import n_processes
from llara_core.tables.processed import Processed

CURVE_COLUMNS = tuple(field.name for field in fields(Epoch))


def curve_rows(trained: Pretrained) -> list[dict[str, Any]]:
    """A row for each epoch."""
    return [asdict(epoch) for epoch in trained.progress.curve]


def timing_report(trained: Pretrained) -> dict[str, Any]:
    """Seconds, speed and memory of the training: what differs from run to run."""
    progress = trained.progress
    return {
        "training_seconds": progress.training_seconds,
        "training_seconds_to_best": progress.seconds_to_best,
        "validation_seconds": progress.validation_seconds,
        "targets_per_second": trained.sequences.n_targets * len(progress.curve) / progress.training_seconds,
        "peak_memory_gib": peak_memory_gib(),
        "processes": n_processes(),
        "device": choose_device().type,
    }


def pretraining_report(params: Params, trained: Pretrained, tables: Processed) -> dict[str, Any]:
    """How training went, and each model's metrics by split: each user's last item, in the catalogue and in the sets."""
    items, sequences = tables.items, tables.sequences
    scorers = {
        "recommender": neural_scorer(trained.model),
        **baseline_scorers(trained.sequences, items.popularity, params.baselines),
    }
    progress = trained.progress
    report: dict[str, Any] = {
        "best_epoch": progress.best.epoch if progress.best else 0,
        "epochs": len(progress.curve),
        "steps": progress.step,
    }
    for split in ("validation", "test"):
        task, asked = last_item_task(params, sequences, split), tables.sets.of(split)
        report[split] = {
            name: {
                **ranking_report(rank_catalogue(score, task, len(items)), len(items)),
                "candidates": candidate_metrics(score, sequences, asked, params.split.history_length),
            }
            for name, score in scorers.items()
        }
    return report
