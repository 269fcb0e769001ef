"""The paper's protocol on the real files: the counts of the authors' released split."""

from pathlib import Path

import pyarrow as pa
import pytest

from llara_core.datasets.movielens_100k import read_movielens_100k
from llara_core.datasets.sources import SOURCES
from llara_core.params.params import Params
from llara_core.runtime.files import sha256_of
from llara_core.sequences.building import group_by_user
from llara_core.sequences.encoding import encode_interactions
from llara_core.sequences.filtering import filter_interactions
from llara_core.sequences.splitting import split_sequences
from llara_core.sequences.windows import all_positions, last_positions, targets
from llara_core.tables.sequences import SPLITS, Sequences


@pytest.fixture(scope="module")
def sequences(movielens: Path, params: Params) -> Sequences:
    log = read_movielens_100k(movielens)
    filters = params.datasets["ml-100k"].filters
    kept, _ = filter_interactions(encode_interactions(log.interactions, log.item_ids), filters, seed=0)
    return split_sequences(group_by_user(kept, ties=filters.ties, unused_items=filters.unused_items), params.split)


def test_the_fetched_files_are_the_original_ones(movielens: Path) -> None:
    for file in SOURCES["ml-100k"].files:
        assert sha256_of(movielens / file.name) == file.sha256


def test_counts_are_those_of_the_authors_split(sequences: Sequences) -> None:
    assert [len(sequences.rows_of(split)) for split in SPLITS] == [754, 94, 95]
    assert len(all_positions(sequences, "train", 3)) == 66_127


def test_targets_are_the_last_kept_items(sequences: Sequences, movielens: Path) -> None:
    latest: dict[str, tuple[int, str]] = {}
    for line in (movielens / "u.data").read_text().splitlines():
        user, item, rating, timestamp = line.split("\t")
        if int(rating) >= 3 and int(timestamp) >= latest.get(user, (0, ""))[0]:
            latest[user] = (int(timestamp), item)
    examples = last_positions(sequences, "test")
    assert len(examples) == 95
    raw = [sequences.raw_user_ids[int(row)].as_py() for row in examples.rows]
    assert targets(sequences, examples).tolist() == [int(latest[user][1]) for user in raw]


def test_titles_are_unique_and_none_is_empty(movielens: Path) -> None:
    log = read_movielens_100k(movielens)
    assert len(pa.array(log.titles).unique()) == len(log.titles) == 1682
    assert "" not in log.titles
    assert log.titles[266] == "unknown"
    assert "An American in Paris" in log.titles
    assert log.repairs["year_kept_to_tell_apart"] == 45
