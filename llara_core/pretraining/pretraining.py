"""From params and tables to a trained recommender."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llara_core.params.params import Params
from llara_core.pretraining.tasks import training_sequences, validation_task
from llara_core.recommenders.losses.objective import Objective
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.recommenders.progress import Progress
from llara_core.recommenders.rank_metrics import ndcg
from llara_core.recommenders.ranking import neural_scorer, rank_catalogue
from llara_core.recommenders.training import Recipe, train_recommender
from llara_core.recommenders.windows import TrainingSequences
from llara_core.runtime.compute import choose_device, seed_torch
from llara_core.runtime.fingerprint import experiment_fingerprint
from llara_core.runtime.logs import LOGGER
from llara_core.tables.items import Items
from llara_core.tables.sequences import Sequences


@dataclass(frozen=True)
class Pretrained:
    """A trained recommender, what it was trained on, and how that went."""

    model: SequentialRecommender
    sequences: TrainingSequences
    progress: Progress


def pretraining_fingerprint(params: Params, artifacts: Sequence[Path]) -> str:
    """Digest of all that decides the weights: params, `artifacts`, code and libraries."""
    sections = [params.selected_recommender, params.pretrain, params.split]
    settings = {"seed": params.seed, "sections": [section.model_dump(mode="json") for section in sections]}
    return experiment_fingerprint(settings, artifacts)


def pretrain_recommender(params: Params, items: Items, sequences: Sequences, checkpoints: Path) -> Pretrained:
    """Train the selected recommender, choosing the epoch by NDCG@10 over all positions of the validation users.

    Args:
        params: all of params.yaml.
        items: the catalogue.
        sequences: of all users; what trains and what validates follows from their splits.
        checkpoints: this experiment's folder; training goes on from what it holds.
    """
    seed_torch(params.seed)
    recipe = Recipe(params.selected_recommender, params.pretrain, params.seed)
    model = build_recommender(recipe.recommender, len(items), params.split.history_length).to(choose_device())
    training, task = training_sequences(sequences, len(items)), validation_task(params, sequences)
    LOGGER.info(
        "%s: %d sequences with %d targets an epoch, %d positions for validation",
        params.recommender.name,
        len(training.starts),
        training.n_targets,
        len(task.targets),
    )

    def validate(candidate: SequentialRecommender) -> float:
        return ndcg(rank_catalogue(neural_scorer(candidate), task, len(items)).ranks, 10)

    objective = Objective(model, params.pretrain.loss, items.popularity)
    return Pretrained(model, training, train_recommender(objective, training, validate, recipe, checkpoints))
