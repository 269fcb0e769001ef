"""Stage preprocess: raw files → items, sequences and candidates as Parquet."""

import numpy as np
import pyarrow as pa

from llara_core.datasets.reading import READERS
from llara_core.params.loading import load_params
from llara_core.runtime.files import atomic_directory, write_json
from llara_core.runtime.logs import LOGGER
from llara_core.sequences.building import group_by_user, keep_rated
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.sequences.splitting import split_by_first_interaction
from llara_core.sequences.windows import all_positions
from llara_core.tables.candidates import CandidateSets, write_candidates
from llara_core.tables.items import Items, write_items
from llara_core.tables.sequences import SPLITS, Sequences, write_sequences
from stages.command import PARAMS, ParamsPath, run
from stages.paths import CANDIDATES, ITEMS, METRICS, PROCESSED, RAW, SEQUENCES


def preprocess(params_path: ParamsPath = PARAMS) -> None:
    """Turn the raw log into items, chronological sequences, user splits and fixed candidate sets.

    Reads data/raw; writes data/processed/{items,sequences,candidates}.parquet and metrics/preprocess.json.
    """
    params = load_params(params_path)
    raw = READERS[params.selected_dataset.source](RAW)
    kept = keep_rated(raw.interactions, params.selected_dataset.min_rating)
    split = params.split
    sequences = split_by_first_interaction(group_by_user(kept, raw.item_ids), split.validation, split.test)
    items = Items(raw.item_ids.cast(pa.string()), pa.array(raw.titles), _count_training(sequences, len(raw.titles)))
    sets = build_candidate_sets(sequences, len(items), params.candidates, split.history_length, params.seed)
    with atomic_directory(PROCESSED) as folder:
        write_items(folder / ITEMS.name, items)
        write_sequences(folder / SEQUENCES.name, sequences, items.digest)
        write_candidates(folder / CANDIDATES.name, sets, items.digest)
    report = _report(sequences, items, sets, split.min_history, len(raw.interactions))
    write_json(METRICS / "preprocess.json", report)
    LOGGER.info("users %s, items %d, positions %s", report["users"], report["items"], report["positions"])


def _count_training(sequences: Sequences, n_items: int) -> np.ndarray:
    training = np.repeat(sequences.splits == "train", sequences.lengths)
    return np.bincount(sequences.item_ids[training], minlength=n_items + 1)[1:].astype(np.int32)


def _report(sequences: Sequences, items: Items, sets: CandidateSets, min_history: int, n_raw: int) -> dict:
    return {
        "interactions": {"raw": n_raw, "kept": len(sequences.item_ids)},
        "items": len(items),
        "items_unseen_in_training": int((items.n_train == 0).sum()),
        "users": {split: len(sequences.rows_of(split)) for split in SPLITS},
        "positions": {"train": len(all_positions(sequences, "train", min_history))},
        "candidate_sets": {split: len(sets.of(split)) for split in SPLITS[1:]},
        "sequence_length": {
            "min": int(sequences.lengths.min()),
            "median": float(np.median(sequences.lengths)),
            "max": int(sequences.lengths.max()),
        },
    }


if __name__ == "__main__":
    run(preprocess)
