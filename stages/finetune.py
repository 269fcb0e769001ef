"""Stage finetune: curriculum LoRA tuning of the base LLM with hybrid prompts."""

from typing import Annotated

import typer

from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.runtime.files import atomic_directory, write_metrics
from llara_core.runtime.paths import ADAPTER, CURVES, EMBEDDINGS, METRICS, PROCESSED, RECOMMENDER
from stages.command import PARAMS, ParamsPath, run


def finetune(
    params_path: ParamsPath = PARAMS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore checkpoints of an interrupted run.")] = False,
) -> None:
    """Tune projector, LoRA weights and what else train.objective has, from text-only to hybrid input.

    Reads data/processed, data/recommender and data/embeddings; writes data/adapter, data/curves/finetune.csv,
    metrics/finetune.json and metrics/finetune_timing.json.
    A killed run goes on from its last checkpoint under .llara/checkpoints (or $LLARA_CHECKPOINT_DIR); a finished one
    leaves none.
    """
    _finetune(load_params(params_path), fresh=fresh)


def _finetune(params: Params, *, fresh: bool) -> None:
    # Not at the top: a mistake in params.yaml, and --help, shouldn't wait for the libraries.
    from llara_core.finetuning.curve import CURVE_COLUMNS
    from llara_core.finetuning.tuning import tune, tuning_fingerprint
    from llara_core.hybrid.adapter import save_adapter
    from llara_core.recommenders.saving import load_recommender
    from llara_core.runtime.checkpoints import locked_checkpoints
    from llara_core.runtime.compute import peak_memory_gib
    from llara_core.runtime.curves import write_curve
    from llara_core.runtime.processes import is_main_process
    from llara_core.tables.embeddings import read_embeddings
    from llara_core.tables.processed import CANDIDATES, ITEMS, SEQUENCES, read_processed
    from stages.micro_batches import settle_micro_batches

    tables = read_processed(PROCESSED)
    recommender, lineage = load_recommender(RECOMMENDER, tables.lineage)
    embeddings = read_embeddings(EMBEDDINGS, lineage, len(tables.items))
    fingerprint = tuning_fingerprint(
        params, [*(PROCESSED / table for table in (ITEMS, SEQUENCES, CANDIDATES)), EMBEDDINGS]
    )
    with locked_checkpoints("finetune", fingerprint, fresh=fresh) as checkpoints:
        settled = settle_micro_batches(params, checkpoints)
        tuned = tune(settled, tables, recommender, embeddings, checkpoints)
        if not is_main_process():
            return
        with atomic_directory(ADAPTER) as folder:
            save_adapter(folder, tuned.adapted, tuned.model.projector, tuned.manifest, tuned.head)
        write_curve(CURVES / "finetune.csv", tuned.curve, CURVE_COLUMNS)
        write_metrics(METRICS / "finetune.json", tuned.report)
        write_metrics(
            METRICS / "finetune_timing.json",
            {"micro_batch_size": settled.selected_objective.rows, "peak_memory_gib": peak_memory_gib()},
        )


if __name__ == "__main__":
    run(finetune)
