"""The recommender beside counting baselines, on validation and test."""

from typing import Any

from llara_core.evaluation.recommenders import candidate_metrics
from llara_core.params.params import Params
from llara_core.pretraining.pretraining import Pretrained
from llara_core.pretraining.tasks import last_item_task
from llara_core.recommenders.counting import markov_scorer, popularity_scorer
from llara_core.recommenders.ranking import neural_scorer, rank_catalogue, ranking_report
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import Items
from llara_core.tables.sequences import Sequences


def pretraining_report(
    params: Params, trained: Pretrained, items: Items, sequences: Sequences, sets: CandidateSets
) -> dict[str, Any]:
    """How training went, and each model's metrics by split: each user's last item, in the catalogue and in `sets`."""
    scorers = {
        "recommender": neural_scorer(trained.model),
        "co_occurrence": markov_scorer(trained.sequences, params.baselines),
        "popularity": popularity_scorer(items.popularity),
    }
    progress = trained.progress
    report: dict[str, Any] = {
        "best_epoch": progress.best.epoch if progress.best else 0,
        "epochs": len(progress.curve),
        "steps": progress.step,
    }
    for split in ("validation", "test"):
        task, asked = last_item_task(params, sequences, split), sets.of(split)
        report[split] = {
            name: {
                **ranking_report(rank_catalogue(score, task, len(items))),
                "candidates": candidate_metrics(score, sequences, asked, params.split.history_length),
            }
            for name, score in scorers.items()
        }
    return report
