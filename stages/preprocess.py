"""Stage preprocess: raw files → items, sequences and candidates as Parquet."""

import pyarrow as pa

from llara_core.datasets.reading import read_raw
from llara_core.params.loading import load_params
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.runtime.logs import LOGGER
from llara_core.sequences.building import group_by_user
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.sequences.encoding import encode_interactions
from llara_core.sequences.filtering import filter_interactions
from llara_core.sequences.report import count_training, describe_sequences
from llara_core.sequences.splitting import split_sequences
from llara_core.tables.candidates import write_candidates
from llara_core.tables.items import Items, write_items
from llara_core.tables.sequences import write_sequences
from stages.command import PARAMS, ParamsPath, run
from stages.paths import CANDIDATES, ITEMS, METRICS, PROCESSED, RAW, SEQUENCES


def preprocess(params_path: ParamsPath = PARAMS) -> None:
    """Turn the raw log into items, chronological sequences, splits and fixed candidate sets.

    Reads data/raw; writes data/processed/{items,sequences,candidates}.parquet and metrics/preprocess.json.
    """
    params = load_params(params_path)
    dataset, split = params.selected_dataset, params.split
    raw = read_raw(RAW, dataset)
    log = encode_interactions(raw.interactions, raw.item_ids)
    kept, steps = filter_interactions(log, dataset.filters, params.seed)
    grouped = group_by_user(kept, ties=dataset.filters.ties, unused_items=dataset.filters.unused_items)
    sequences = split_sequences(grouped, split, raw.user_splits)
    used = pa.array(grouped.catalogue)
    items = Items(
        raw_item_ids=raw.item_ids.take(used).cast(pa.string()),
        titles=pa.array(raw.titles).take(used),
        n_train=count_training(sequences, len(used)),
    )
    sets = build_candidate_sets(sequences, len(items), params.candidates, split.history_length, params.seed)
    with atomic_directory(PROCESSED) as folder:
        write_items(folder / ITEMS.name, items)
        write_sequences(folder / SEQUENCES.name, sequences, items.digest)
        write_candidates(folder / CANDIDATES.name, sets, items.digest)
    report = describe_sequences(sequences, items, sets, split.min_history)
    write_json(METRICS / "preprocess.json", {**report, "filters": steps, "repairs": raw.repairs})
    LOGGER.info("users %s, items %d, positions %s", report["users"], report["items"], report["positions"])


if __name__ == "__main__":
    run(preprocess)
