from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llara_core.errors import ArtifactError
from llara_core.tables.candidates import CandidateSets, read_candidates, write_candidates
from llara_core.tables.embeddings import read_embeddings, write_embeddings
from llara_core.tables.items import Items, read_items, write_items
from llara_core.tables.predictions import Predictions, write_predictions
from llara_core.tables.sequences import Sequences, read_sequences, write_sequences
from tests.factories import make_sequences


@pytest.fixture
def items() -> Items:
    return Items(pa.array(["7", "9", "11"]), pa.array(["Heat", "Café", "Alien"]), np.array([2, 0, 1], dtype=np.int32))


@pytest.fixture
def sequences() -> Sequences:
    return make_sequences([[1, 3], [2, 1, 3]], ["train", "test"])


@pytest.fixture
def sets() -> CandidateSets:
    return CandidateSets(
        example_ids=np.array([0, 0]),
        draws=np.array([0, 1]),
        user_ids=np.array([2, 2]),
        splits=np.array(["test", "test"], dtype=object),
        positions=np.array([2, 2]),
        targets=np.array([3, 3]),
        candidates=np.array([[1, 3], [3, 2]]),
    )


def test_items_survive_a_round_trip(tmp_path: Path, items: Items) -> None:
    write_items(tmp_path / "items.parquet", items)
    read = read_items(tmp_path / "items.parquet")
    assert read.titles_by_id == ["", "Heat", "Café", "Alien"]
    assert read.popularity.tolist() == [0, 2, 0, 1]
    assert read.digest == items.digest


def test_the_digest_tells_titles_and_raw_ids_apart(items: Items) -> None:
    renamed = Items(items.raw_item_ids, pa.array(["Heat", "Cafe", "Alien"]), items.n_train)
    renumbered = Items(pa.array(["7", "9", "12"]), items.titles, items.n_train)
    assert len({items.digest, renamed.digest, renumbered.digest}) == 3


@pytest.mark.parametrize(
    ("titles", "expected"),
    [(["Heat", "", "Alien"], "must not be empty"), (["Heat", "Heat", "Alien"], "2 distinct of 3")],
)
def test_items_refuse_bad_titles(items: Items, titles: list[str], expected: str) -> None:
    with pytest.raises(ArtifactError, match=expected):
        Items(items.raw_item_ids, pa.array(titles), items.n_train)


def test_sequences_survive_a_round_trip(tmp_path: Path, sequences: Sequences) -> None:
    write_sequences(tmp_path / "s.parquet", sequences, "digest")
    read = read_sequences(tmp_path / "s.parquet", "digest", 3)
    assert [read.items_of(row).tolist() for row in range(2)] == [[1, 3], [2, 1, 3]]
    assert read.split_names.tolist() == ["train", "test"]
    assert (read.train_end.tolist(), read.validation_end.tolist()) == ([2, 0], [2, 0])
    assert read.lengths.tolist() == [2, 3]
    assert read.timestamps.tolist() == [0, 1, 2, 3, 4]


def test_splits_out_of_order_are_refused(tmp_path: Path, sequences: Sequences) -> None:
    write_sequences(tmp_path / "s.parquet", replace(sequences, train_end=np.array([2, 4], dtype=np.int32)), "digest")
    with pytest.raises(ArtifactError, match="0 ≤ train_end ≤ validation_end ≤ length"):
        read_sequences(tmp_path / "s.parquet", "digest", 3)


def test_ids_outside_the_item_table_are_refused(tmp_path: Path, sequences: Sequences) -> None:
    write_sequences(tmp_path / "s.parquet", sequences, "digest")
    with pytest.raises(ArtifactError, match=r"item_ids must lie in 1..2, got 1..3"):
        read_sequences(tmp_path / "s.parquet", "digest", 2)


def test_artifacts_of_another_item_table_are_refused(tmp_path: Path, sequences: Sequences, sets: CandidateSets) -> None:
    write_sequences(tmp_path / "s.parquet", sequences, "this")
    write_candidates(tmp_path / "c.parquet", sets, "this")
    write_embeddings(tmp_path / "e.parquet", np.ones((4, 2)), "this")
    for name, read in (
        ("s", lambda path: read_sequences(path, "other", 3)),
        ("c", lambda path: read_candidates(path, "other")),
        ("e", lambda path: read_embeddings(path, "other", 3, 2)),
    ):
        with pytest.raises(ArtifactError, match=f"{name}.parquet: belongs to another item table.*other.*got this"):
            read(tmp_path / f"{name}.parquet")


def test_candidates_survive_a_round_trip(tmp_path: Path, sets: CandidateSets) -> None:
    write_candidates(tmp_path / "c.parquet", sets, "digest")
    read = read_candidates(tmp_path / "c.parquet", "digest")
    assert read.candidates.tolist() == [[1, 3], [3, 2]]
    assert read.target_indices.tolist() == [1, 0]
    assert len(read.of("test", n_draws=1)) == 1
    assert len(read.of("validation")) == 0


@pytest.mark.parametrize("row", [[1, 2], [3, 3]])
def test_candidates_without_their_target_or_with_repeats_are_refused(
    tmp_path: Path, sets: CandidateSets, row: list[int]
) -> None:
    sets.candidates[1] = row
    write_candidates(tmp_path / "c.parquet", sets, "digest")
    with pytest.raises(ArtifactError, match="row 1: candidates must be distinct and hold the target 3 once"):
        read_candidates(tmp_path / "c.parquet", "digest")


def test_embeddings_survive_a_round_trip_and_get_a_zero_padding_row(tmp_path: Path) -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    write_embeddings(tmp_path / "e.parquet", vectors, "digest")
    read = read_embeddings(tmp_path / "e.parquet", "digest", 3, 2)
    assert read.tolist() == [[0, 0], [2, 3], [4, 5], [6, 7]]
    with pytest.raises(ArtifactError, match=r"columns must be .*\[3\].*got .*\[2\]"):
        read_embeddings(tmp_path / "e.parquet", "digest", 3, 3)
    with pytest.raises(ArtifactError, match="item_id must run from 1 to 5, got 3 rows"):
        read_embeddings(tmp_path / "e.parquet", "digest", 5, 2)


def test_embeddings_must_be_finite(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.parquet", np.array([[0.0], [1.0], [np.nan]]), "digest")
    with pytest.raises(ArtifactError, match="must be finite, row 1"):
        read_embeddings(tmp_path / "e.parquet", "digest", 2, 1)


def test_predictions_rank_ties_against_the_target(tmp_path: Path, sets: CandidateSets) -> None:
    scores = np.array([[-1.0, -1.0], [-1.0, -2.0]])
    write_predictions(tmp_path / "p.parquet", Predictions(["a", "b"], np.array([1, 3]), scores), sets, "digest")
    assert pq.read_table(tmp_path / "p.parquet")["target_rank"].to_pylist() == [2, 1]
    write_predictions(tmp_path / "p.parquet", Predictions(["a", "b"], np.array([0, 3]), None), sets, "digest")
    assert pq.read_table(tmp_path / "p.parquet")["scores"].to_pylist() == [None, None]


def test_the_same_table_gives_the_same_bytes(tmp_path: Path, sequences: Sequences) -> None:
    for name in ("a", "b"):
        write_sequences(tmp_path / name, sequences, "digest")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_unreadable_files(tmp_path: Path, items: Items) -> None:
    path = tmp_path / "items.parquet"
    with pytest.raises(ArtifactError, match=r"items.parquet: no such file; run `dvc repro`"):
        read_items(path)
    write_items(path, items)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="not a readable Parquet file"):
        read_items(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ArtifactError, match="schema version must be 1, got None"):
        read_items(path)
