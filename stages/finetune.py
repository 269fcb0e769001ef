"""Stage finetune: curriculum LoRA tuning of the base LLM with hybrid prompts."""

from typing import Annotated

import typer

from llara_core.finetuning.curve import CURVE_COLUMNS
from llara_core.finetuning.tuning import Tuned, TuningInputs, tune, tuning_fingerprint
from llara_core.hybrid.adapter import AdapterManifest, save_adapter
from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.runtime.checkpoints import locked_checkpoints
from llara_core.runtime.compute import is_main_process
from llara_core.runtime.curves import write_curve
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.tables.candidates import read_candidates
from llara_core.tables.embeddings import read_embeddings
from llara_core.tables.items import read_items
from llara_core.tables.sequences import read_sequences
from stages.command import PARAMS, ParamsPath, run
from stages.paths import ADAPTER, CANDIDATES, CURVES, EMBEDDINGS, ITEMS, METRICS, SEQUENCES


def finetune(
    params_path: ParamsPath = PARAMS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore checkpoints of an interrupted run.")] = False,
) -> None:
    """Tune projector and LoRA weights on the answers of hybrid and text-only prompts.

    Reads data/processed and data/embeddings; writes data/adapter, data/curves/finetune.csv and metrics/finetune.json.
    A killed run goes on from its last checkpoint under .llara/checkpoints (or $LLARA_CHECKPOINT_DIR); a finished one
    leaves none.
    """
    params = load_params(params_path)
    inputs = _read_inputs(params)
    fingerprint = tuning_fingerprint(params, [ITEMS, SEQUENCES, EMBEDDINGS])
    with locked_checkpoints("finetune", fingerprint, fresh=fresh) as checkpoints:
        tuned = tune(params, inputs, checkpoints)
        if is_main_process():
            _write(params, inputs, tuned)


def _read_inputs(params: Params) -> TuningInputs:
    items = read_items(ITEMS)
    return TuningInputs(
        items,
        read_sequences(SEQUENCES, items.digest, len(items)),
        read_candidates(CANDIDATES, items.digest),
        read_embeddings(EMBEDDINGS, items.digest, len(items), params.selected_recommender.dim),
    )


def _write(params: Params, inputs: TuningInputs, tuned: Tuned) -> None:
    manifest = AdapterManifest(
        llm=params.selected_llm,
        prompt=params.prompt,
        nouns=params.selected_dataset.nouns,
        history_length=params.split.history_length,
        embedding_dim=inputs.embeddings.shape[1],
        projector_hidden=params.projector.hidden,
        items_digest=inputs.items.digest,
    )
    with atomic_directory(ADAPTER) as folder:
        save_adapter(folder, tuned.adapted, tuned.model.projector, manifest)
    write_curve(CURVES / "finetune.csv", tuned.curve, CURVE_COLUMNS)
    write_json(METRICS / "finetune.json", tuned.report)


if __name__ == "__main__":
    run(finetune)
