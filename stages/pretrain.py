"""Stage pretrain: train the selected sequential recommender on the training users."""

from typing import Annotated, Any

import typer

from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.runtime.files import atomic_directory, write_metrics
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.paths import CURVES, METRICS, PROCESSED, RECOMMENDER
from stages.command import PARAMS, ParamsPath, run


def pretrain(
    params_path: ParamsPath = PARAMS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore checkpoints of an interrupted run.")] = False,
) -> None:
    """Train the recommender, choosing the epoch by NDCG@10 over all positions of the validation users.

    Reads data/processed; writes data/recommender, data/curves/pretrain.csv, metrics/pretrain.json with the metrics of
    the recommender and of counting baselines, and metrics/pretrain_timing.json. A killed run goes on from its last
    checkpoint under .llara/checkpoints (or $LLARA_CHECKPOINT_DIR); a finished one leaves none.
    """
    _pretrain(load_params(params_path), fresh=fresh)


def _pretrain(params: Params, *, fresh: bool) -> None:
    # Not at the top: a mistake in params.yaml, and --help, shouldn't wait for the libraries.
    from llara_core.pretraining.pretraining import pretrain_recommender, pretraining_fingerprint
    from llara_core.pretraining.report import CURVE_COLUMNS, curve_rows, pretraining_report, timing_report
    from llara_core.recommenders.saving import RecommenderConfig, save_recommender
    from llara_core.runtime.checkpoints import locked_checkpoints
    from llara_core.runtime.curves import write_curve
    from llara_core.runtime.processes import is_main_process
    from llara_core.tables.processed import ITEMS, SEQUENCES, read_processed

    tables = read_processed(PROCESSED)
    fingerprint = pretraining_fingerprint(params, [PROCESSED / ITEMS, PROCESSED / SEQUENCES])
    with locked_checkpoints("pretrain", fingerprint, fresh=fresh) as checkpoints:
        trained = pretrain_recommender(params, tables.items, tables.sequences, checkpoints)
        if not is_main_process():
            return
        config = RecommenderConfig(
            recommender=params.selected_recommender,
            n_items=len(tables.items),
            history_length=params.split.history_length,
            made_from=tables.lineage,
        )
        with atomic_directory(RECOMMENDER) as folder:
            save_recommender(folder, trained.model, config)
        write_curve(CURVES / "pretrain.csv", curve_rows(trained), CURVE_COLUMNS)
        report = pretraining_report(params, trained, tables)
        write_metrics(METRICS / "pretrain.json", report)
        write_metrics(METRICS / "pretrain_timing.json", timing_report(trained))
    _log(report["test"])


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
