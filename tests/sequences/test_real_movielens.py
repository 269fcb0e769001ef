"""The paper's protocol on the real files: the counts and the order of the authors' released split."""

import hashlib
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


def test_equal_timestamps_are_in_the_order_of_the_release(sequences: Sequences) -> None:
    # Users ascending, each one's kept rows by np.argsort(timestamps) of NumPy 1.24.4: the order that gives 186 of the
    # 189 validation and test targets of the authors' frames (file order: 141).
    items = sequences.item_ids.astype("<i4")
    users = [int(user) for user in sequences.raw_user_ids.to_pylist()]
    assert users == sorted(users)
    digest = hashlib.sha256(items.tobytes()).hexdigest()
    assert digest == "3b62c449ade53fdce32473074aa7cad7ebf73b4196537557b65fd72217f94d67"


def test_targets_are_latest_kept_items(sequences: Sequences, movielens: Path) -> None:
    latest: dict[str, tuple[int, set[str]]] = {}
    for line in (movielens / "u.data").read_text().splitlines():
        user, item, rating, timestamp = line.split("\t")
        if int(rating) >= 3 and int(timestamp) >= latest.get(user, (0, set()))[0]:
            before, items = latest.get(user, (0, set()))
            latest[user] = (int(timestamp), {item} | (items if before == int(timestamp) else set()))
    examples = last_positions(sequences, "test")
    assert len(examples) == 95
    raw = [sequences.raw_user_ids[int(row)].as_py() for row in examples.rows]
    goals = targets(sequences, examples).tolist()
    assert all(str(goal) in latest[user][1] for user, goal in zip(raw, goals, strict=True))


def test_titles_are_unique_and_none_is_empty(movielens: Path) -> None:
    log = read_movielens_100k(movielens)
    assert len(pa.array(log.titles).unique()) == len(log.titles) == 1682
    assert "" not in log.titles
    assert log.titles[266] == "unknown"
    assert "An American in Paris" in log.titles
    assert log.repairs["year_kept_to_tell_apart"] == 45
