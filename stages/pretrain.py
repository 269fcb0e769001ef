"""Stage pretrain: train the selected sequential recommender on the training users."""

from dataclasses import asdict, fields
from typing import Annotated, Any

import typer

from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.pretraining.pretraining import Pretrained, pretrain_recommender, pretraining_fingerprint
from llara_core.pretraining.report import pretraining_report
from llara_core.recommenders.progress import Epoch
from llara_core.recommenders.saving import RecommenderConfig, save_recommender
from llara_core.runtime.checkpoints import locked_checkpoints
from llara_core.runtime.compute import choose_device, is_main_process, n_processes, peak_memory_gib
from llara_core.runtime.curves import write_curve
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.runtime.logs import LOGGER
from llara_core.tables.candidates import read_candidates
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
    checkpoint under .llara/checkpoints (or $LLARA_CHECKPOINT_DIR); a finished one leaves none.
    """
    params = load_params(params_path)
    items = read_items(ITEMS)
    sequences = read_sequences(SEQUENCES, items.digest, len(items))
    fingerprint = pretraining_fingerprint(params, [ITEMS, SEQUENCES])
    with locked_checkpoints("pretrain", fingerprint, fresh=fresh) as checkpoints:
        trained = pretrain_recommender(params, items, sequences, checkpoints)
        if is_main_process():
            _write(params, trained, items, sequences)


def _write(params: Params, trained: Pretrained, items: Items, sequences: Sequences) -> None:
    config = RecommenderConfig(
        recommender=params.selected_recommender,
        n_items=len(items),
        history_length=params.split.history_length,
        items_digest=items.digest,
    )
    with atomic_directory(RECOMMENDER) as folder:
        save_recommender(folder, trained.model, config)
    rows = [asdict(epoch) for epoch in trained.progress.curve]
    write_curve(CURVES / "pretrain.csv", rows, [field.name for field in fields(Epoch)])
    report = pretraining_report(params, trained, items, sequences, read_candidates(CANDIDATES, items.digest))
    write_json(METRICS / "pretrain.json", report)
    write_json(METRICS / "pretrain_timing.json", _timing(trained))
    _log(report["test"])


def _timing(trained: Pretrained) -> dict[str, Any]:
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


def _log(report: dict[str, Any]) -> None:
    for name, judged in report.items():
        chosen = judged["candidates"]
        LOGGER.info(
            "test, %-13s HR@1 among candidates %.3f [%.3f, %.3f]; NDCG@10 among all items %.3f",
            name,
            chosen["hit_ratio_at_1"],
            chosen["hit_ratio_at_1_low"],
            chosen["hit_ratio_at_1_high"],
            judged["ndcg_at_10"],
        )


if __name__ == "__main__":
    run(pretrain)
