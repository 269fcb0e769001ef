"""Stage preprocess: raw files → items, sequences and candidates as Parquet."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from llara_core.datasets.log import Repairs
from llara_core.datasets.own_table import read_catalogue
from llara_core.datasets.reading import read_raw
from llara_core.params.datasets import Dataset, PartitionedData
from llara_core.params.loading import load_params
from llara_core.runtime.files import atomic_directory, write_metrics
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.paths import METRICS, PROCESSED, RAW
from llara_core.sequences.building import Grouped, group_by_user
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.sequences.encoding import encode_interactions
from llara_core.sequences.filtering import filter_interactions
from llara_core.sequences.out_of_core import group_out_of_core
from llara_core.sequences.report import describe_sequences
from llara_core.sequences.splitting import split_sequences
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed, write_processed
from stages.command import PARAMS, ParamsPath, run


@dataclass(frozen=True)
class _Prepared:
    grouped: Grouped
    steps: dict[str, dict[str, int]]
    item_ids: pa.Array
    titles: list[str]
    user_splits: dict[Any, str] | None
    repairs: Repairs


def preprocess(params_path: ParamsPath = PARAMS) -> None:
    """Turn the raw log into items, chronological sequences, splits and fixed candidate sets.

    Reads data/raw; writes data/processed/{items,sequences,candidates}.parquet and metrics/preprocess.json.
    """
    params = load_params(params_path)
    split = params.split
    prepared = _prepare(params.selected_dataset, params.seed)
    sequences = split_sequences(prepared.grouped, split, prepared.user_splits)
    used = pa.array(prepared.grouped.catalogue)
    items = Items(
        raw_item_ids=prepared.item_ids.take(used).cast(pa.string()),
        titles=pa.array(prepared.titles).take(used),
        n_train=sequences.count_training(len(used)),
    )
    sets = build_candidate_sets(sequences, len(items), params.candidates, split.history_length, split.min_history)
    with atomic_directory(PROCESSED) as folder:
        write_processed(folder, Processed(items, sequences, sets))
    report = describe_sequences(sequences, items, sets, split.min_history)
    origin = {"source": params.selected_dataset.source, "items_sha256": items.digest}
    details = {"filters": prepared.steps, "repairs": prepared.repairs}
    write_metrics(METRICS / "preprocess.json", {**origin, **report, **details})
    LOGGER.info("users %s, items %d, positions %s", report["users"], report["items"], report["positions"])


def _prepare(dataset: Dataset, seed: int) -> _Prepared:
    """Read, filter, sort and number the interactions: in memory, or out of core where they are larger than it."""
    if isinstance(dataset, PartitionedData):
        ids, titles, repairs = read_catalogue(RAW, dataset)
        parts = RAW / "interactions"
        grouped, steps, mended = group_out_of_core(
            parts, dataset.columns, ids, dataset.filters, seed, dataset.memory_limit
        )
        return _Prepared(grouped, steps, ids, titles, None, {**mended, **repairs})
    raw = read_raw(RAW, dataset)
    kept, steps = filter_interactions(encode_interactions(raw.interactions, raw.item_ids), dataset.filters, seed)
    grouped = group_by_user(kept, ties=dataset.filters.ties, unused_items=dataset.filters.unused_items)
    return _Prepared(grouped, steps, raw.item_ids, raw.titles, raw.user_splits, raw.repairs)


if __name__ == "__main__":
    run(preprocess)
