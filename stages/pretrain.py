"""Stage pretrain: train the selected sequential recommender on the training users."""

from dataclasses import asdict, fields

from llara_core.evaluation.baselines import ranking_metrics, unique_histories
from llara_core.params.loading import load_params
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.recommenders.ranking import hit_ratio, ndcg, ranks, score_next_items, without_history
from llara_core.recommenders.saving import RecommenderConfig, save_recommender
from llara_core.recommenders.training import Epoch, train_recommender
from llara_core.runtime.compute import choose_device, seed_torch
from llara_core.runtime.curves import write_curve
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.runtime.logs import LOGGER
from llara_core.sequences.windows import Examples, all_positions, histories, last_positions, targets, training_items
from llara_core.tables.candidates import CandidateSets, read_candidates
from llara_core.tables.items import read_items
from llara_core.tables.sequences import Sequences, read_sequences
from stages.command import PARAMS, ParamsPath, run
from stages.paths import CANDIDATES, CURVES, ITEMS, METRICS, RECOMMENDER, SEQUENCES


def pretrain(params_path: ParamsPath = PARAMS) -> None:
    """Train the recommender, choosing the epoch by NDCG@10 over all positions of the validation users.

    Reads data/processed; writes data/recommender, data/curves/pretrain.csv and metrics/pretrain.json.
    """
    params = load_params(params_path)
    recipe, length = params.selected_recommender, params.split.history_length
    items = read_items(ITEMS)
    sequences = read_sequences(SEQUENCES, items.digest, len(items))
    sets = read_candidates(CANDIDATES, items.digest)
    seed_torch(params.seed)
    model = build_recommender(recipe, len(items)).to(choose_device())
    positions = all_positions(sequences, "validation", params.split.min_history)
    curve = train_recommender(
        model,
        training_items(sequences),
        lambda candidate: _full_ranking(candidate, sequences, positions, length)["ndcg_at_10"],
        recipe,
        params.seed,
    )
    with atomic_directory(RECOMMENDER) as folder:
        config = RecommenderConfig(recommender=recipe, n_items=len(items), items_digest=items.digest)
        save_recommender(folder, model, config)
    write_curve(CURVES / "pretrain.csv", [asdict(epoch) for epoch in curve], [field.name for field in fields(Epoch)])
    report = {split: _report(model, sequences, sets, split, length) for split in ("validation", "test")}
    best = max(curve, key=lambda epoch: epoch.validation_ndcg_at_10)
    write_json(METRICS / "pretrain.json", {"best_epoch": best.epoch, "epochs": len(curve), **report})
    LOGGER.info("best epoch %d of %d; test: %s", best.epoch, len(curve), report["test"])


def _full_ranking(
    model: SequentialRecommender, sequences: Sequences, examples: Examples, length: int
) -> dict[str, float]:
    """HR@10 and NDCG@10 over the whole catalogue less the items that the user has had."""
    scores = score_next_items(model, histories(sequences, examples, length))
    goals = targets(sequences, examples)
    seen = [sequences.items_of(row)[:position] for row, position in zip(examples.rows, examples.positions, strict=True)]
    rank = ranks(without_history(scores, seen, goals), goals)
    return {"hr_at_10": hit_ratio(rank, 10), "ndcg_at_10": ndcg(rank, 10)}


def _report(
    model: SequentialRecommender, sequences: Sequences, sets: CandidateSets, split: str, length: int
) -> dict[str, object]:
    chosen = sets.of(split)
    shown, example = unique_histories(chosen, sequences, length)
    return {
        **_full_ranking(model, sequences, last_positions(sequences, split), length),
        "candidates": ranking_metrics(score_next_items(model, shown), example, chosen),
    }


if __name__ == "__main__":
    run(pretrain)
