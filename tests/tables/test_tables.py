from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llara_core.errors import ArtifactError
from llara_core.tables.candidates import CandidateSets, read_candidates, write_candidates
from llara_core.tables.embeddings import ItemEmbeddings, read_embeddings, write_embeddings
from llara_core.tables.items import Items, read_items, write_items
from llara_core.tables.lineage import digest_of
from llara_core.tables.parquet import write_table
from llara_core.tables.processed import Processed, read_processed, write_processed
from llara_core.tables.sequences import Sequences, read_sequences, write_sequences
from tests.factories import make_sequences, make_sets


@pytest.fixture
def items() -> Items:
    return Items(pa.array(["7", "9", "11"]), pa.array(["Heat", "Café", "Alien"]), np.array([1, 0, 1], dtype=np.int32))


@pytest.fixture
def sequences() -> Sequences:
    return make_sequences([[1, 3], [2, 1, 3]], ["train", "test"])


@pytest.fixture
def sets() -> CandidateSets:
    return make_sets(
        example_ids=[0, 0],
        draws=[0, 1],
        user_ids=[2, 2],
        positions=[2, 2],
        targets=[3, 3],
        candidates=[[2, 3], [3, 2]],
    )


def _write(path: Path, items: Items, sequences: Sequences, sets: CandidateSets) -> None:
    write_sequences(path / "s.parquet", sequences, items)
    write_candidates(path / "c.parquet", sets, items, sequences)


def test_items_survive_a_round_trip(tmp_path: Path, items: Items) -> None:
    write_items(tmp_path / "items.parquet", items)
    read = read_items(tmp_path / "items.parquet")
    assert read.titles_by_id == ["", "Heat", "Café", "Alien"]
    assert read.popularity.tolist() == [0, 1, 0, 1]
    assert read.digest == items.digest


def test_digests_tell_every_column_apart(items: Items, sequences: Sequences, sets: CandidateSets) -> None:
    for table, changes in (
        (items, {"raw_item_ids": pa.array(["7", "91", "1"]), "n_train": items.n_train + 1}),
        (items, {"titles": pa.array(["Heat", "Cafe", "Alien"])}),
        (
            sequences,
            {
                name: getattr(sequences, name) + 1
                for name in ("user_ids", "train_end", "validation_end", "offsets", "item_ids", "timestamps")
            },
        ),
        (sequences, {"raw_user_ids": pa.array(["01", ""])}),
        (
            sets,
            {
                name: getattr(sets, name) + 1
                for name in ("example_ids", "draws", "user_ids", "positions", "targets", "candidates")
            },
        ),
        (sets, {"splits": np.array(["test", "validation"], dtype=object)}),
        (sets, {"scopes": np.array(["last", "all"], dtype=object)}),
    ):
        digests = {replace(table, **{name: value}).digest for name, value in changes.items()}
        assert len(digests | {table.digest}) == len(changes) + 1
        assert replace(table).digest == table.digest


def test_a_digest_is_of_values_and_not_of_how_they_lie_in_memory() -> None:
    numbers = np.arange(12, dtype=np.int32).reshape(3, 4)
    texts = pa.array(["x", "a", "bc"])
    assert digest_of(numbers.T.copy().T, texts.slice(1)) == digest_of(numbers, pa.array(["a", "bc"]))
    assert digest_of(pa.array(["ab", "c"])) != digest_of(pa.array(["a", "bc"]))
    assert digest_of(numbers) != digest_of(numbers.reshape(4, 3))


BREAKS = ["\n", "\r", "\t", "\0", "\x1b", "\x85", "\u2028", "\u2029", "\u200b"]


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        (["Heat", "", "Alien"], "must not be empty"),
        (["Heat", "Heat", "Alien"], "2 distinct of 3"),
        *((["Heat", f"a{c}b", "Alien"], "must be one line without control characters, got 'a") for c in BREAKS),
    ],
)
def test_items_refuse_bad_titles(items: Items, titles: list[str], expected: str) -> None:
    with pytest.raises(ArtifactError, match=expected):
        Items(items.raw_item_ids, pa.array(titles), items.n_train)


def test_sequences_survive_a_round_trip(tmp_path: Path, items: Items, sequences: Sequences) -> None:
    write_sequences(tmp_path / "s.parquet", sequences, items)
    read = read_sequences(tmp_path / "s.parquet", items)
    assert [read.items_of(row).tolist() for row in range(2)] == [[1, 3], [2, 1, 3]]
    assert read.split_names.tolist() == ["train", "test"]
    assert (read.train_end.tolist(), read.validation_end.tolist()) == ([2, 0], [2, 0])
    assert read.lengths.tolist() == [2, 3]
    assert read.timestamps.tolist() == [0, 1, 2, 3, 4]
    assert read.digest == sequences.digest


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train_end": [2, 4]}, "must have 0 ≤ train_end ≤ validation_end ≤ length in every row"),
        ({"item_ids": [1, 3, 2, 1, 4]}, r"item_ids must lie in 1..3, got 1..4"),
        ({"item_ids": [1, 3, 2, 0, 3]}, r"item_ids must lie in 1..3, got 0..3"),
        ({"user_ids": [2, 2]}, "user_id must ascend"),
        ({"timestamps": [0, 1, 2, 4, 3]}, "row 1: timestamps must not fall"),
        ({"timestamps": [1, 0, 2, 3, 4]}, "row 0: timestamps must not fall"),
    ],
)
def test_sequences_that_break_the_contract_are_refused(
    tmp_path: Path, items: Items, sequences: Sequences, changes: dict[str, list[int]], expected: str
) -> None:
    arrays = {name: np.array(values, getattr(sequences, name).dtype) for name, values in changes.items()}
    write_sequences(tmp_path / "s.parquet", replace(sequences, **arrays), items)
    with pytest.raises(ArtifactError, match=expected):
        read_sequences(tmp_path / "s.parquet", items)


def test_the_split_column_says_what_the_bounds_say(tmp_path: Path, items: Items, sequences: Sequences) -> None:
    write_sequences(tmp_path / "s.parquet", sequences, items)
    table = pq.read_table(tmp_path / "s.parquet")
    column = table.schema.get_field_index("split")
    pq.write_table(table.set_column(column, "split", pa.array(["train", "train"])), tmp_path / "s.parquet")
    with pytest.raises(ArtifactError, match="row 1: split must be test by its bounds, got train"):
        read_sequences(tmp_path / "s.parquet", items)


def test_a_user_without_items_is_refused(tmp_path: Path, items: Items, sequences: Sequences) -> None:
    empty = replace(
        sequences,
        user_ids=np.array([1, 2, 3], dtype=np.int32),
        raw_user_ids=pa.array(["a", "b", "c"]),
        train_end=np.array([2, 0, 0], dtype=np.int32),
        validation_end=np.array([2, 0, 0], dtype=np.int32),
        offsets=np.array([0, 2, 5, 5]),
    )
    write_sequences(tmp_path / "s.parquet", empty, items)
    with pytest.raises(ArtifactError, match="row 2: must have an item, got none"):
        read_sequences(tmp_path / "s.parquet", items)


def test_examples_are_asked_once_and_equally_often(tmp_path: Path, items: Items) -> None:
    sequences = make_sequences([[1, 3], [2, 1, 3], [2, 3]], ["train", "test", "test"])

    def read(example_ids: list[int], draws: list[int], user_ids: list[int]) -> CandidateSets:
        sets = make_sets(
            example_ids=example_ids,
            draws=draws,
            user_ids=user_ids,
            positions=[{2: 2, 3: 1}[user] for user in user_ids],
            targets=[3] * len(draws),
            candidates=[{2: [2, 3], 3: [1, 3]}[user] for user in user_ids],
        )
        _write(tmp_path, items, sequences, sets)
        return read_candidates(tmp_path / "c.parquet", items, sequences)

    assert len(read([0, 0, 1, 1], [0, 1, 0, 1], [2, 2, 3, 3])) == 4
    with pytest.raises(ArtifactError, match="one position of one user, and no other mean the same"):
        read([0, 1, 2], [0, 0, 0], [2, 3, 3])
    with pytest.raises(
        ArtifactError, match=r"every example of test, last positions, must have as many draws, got \[1, 2\]"
    ):
        read([0, 0, 1], [0, 1, 0], [2, 2, 3])


def test_a_target_that_repeats_the_item_before_it_is_one_of_its_candidates(tmp_path: Path, items: Items) -> None:
    sequences = make_sequences([[2, 2]], ["test"])
    sets = make_sets(example_ids=[0], draws=[0], user_ids=[1], positions=[1], targets=[2], candidates=[[2, 3]])
    write_candidates(tmp_path / "c.parquet", sets, items, sequences)
    assert read_candidates(tmp_path / "c.parquet", items, sequences).candidates.tolist() == [[2, 3]]


def test_a_catalogue_counts_what_trains(tmp_path: Path, items: Items, sequences: Sequences) -> None:
    other = replace(items, n_train=np.array([1, 1, 1], dtype=np.int32))
    write_sequences(tmp_path / "s.parquet", sequences, other)
    with pytest.raises(ArtifactError, match="as the catalogue's n_train says, item 2 1 times, got 0"):
        read_sequences(tmp_path / "s.parquet", other)


def test_time_may_start_again_with_the_next_user(tmp_path: Path, items: Items, sequences: Sequences) -> None:
    earlier = replace(sequences, timestamps=np.array([7, 7, 1, 2, 2]))
    write_sequences(tmp_path / "s.parquet", earlier, items)
    assert read_sequences(tmp_path / "s.parquet", items).timestamps.tolist() == [7, 7, 1, 2, 2]


def test_what_was_made_from_something_else_is_refused(
    tmp_path: Path, items: Items, sequences: Sequences, sets: CandidateSets
) -> None:
    _write(tmp_path, items, sequences, sets)
    write_embeddings(tmp_path / "e.parquet", ItemEmbeddings(np.ones((4, 2)), {"items": items.digest, "sequences": "a"}))
    other_items = replace(items, n_train=items.n_train + 1)
    # The same users and items, but the second trains as well: another split.
    other_split = replace(sequences, train_end=np.array([2, 2], dtype=np.int32), validation_end=np.array([2, 2]))
    for name, what, read in (
        ("s", "items", lambda path: read_sequences(path, other_items)),
        ("c", "items", lambda path: read_candidates(path, other_items, sequences)),
        ("c", "sequences", lambda path: read_candidates(path, items, other_split)),
        ("e", "items and sequences", lambda path: read_embeddings(path, {"items": "b", "sequences": "b"}, 3)),
        ("e", "sequences", lambda path: read_embeddings(path, {"items": items.digest, "sequences": "b"}, 3)),
        ("e", "recommender", lambda path: read_embeddings(path, {"recommender": "b"}, 3)),
    ):
        with pytest.raises(ArtifactError, match=rf"{name}.parquet: was made from other {what} than those at hand"):
            read(tmp_path / f"{name}.parquet")


def test_the_three_tables_are_read_as_they_were_written(
    tmp_path: Path, items: Items, sequences: Sequences, sets: CandidateSets
) -> None:
    write_processed(tmp_path, Processed(items, sequences, sets))
    read = read_processed(tmp_path)
    assert read.lineage == {"items": items.digest, "sequences": sequences.digest}
    assert read.sets.digest == sets.digest


def test_candidates_survive_a_round_trip(
    tmp_path: Path, items: Items, sequences: Sequences, sets: CandidateSets
) -> None:
    _write(tmp_path, items, sequences, sets)
    read = read_candidates(tmp_path / "c.parquet", items, sequences)
    assert read.candidates.tolist() == [[2, 3], [3, 2]]
    assert read.target_indices.tolist() == [1, 0]
    assert len(read.of("test", n_draws=1)) == 1
    assert len(read.of("validation")) == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"candidates": [[1, 3], [1, 2]]}, "row 1: candidates must be distinct and hold the target 3 once"),
        ({"candidates": [[1, 3], [3, 3]]}, "row 1: candidates must be distinct and hold the target 3 once"),
        ({"candidates": [[1, 3, 2], [1, 1, 3]]}, "row 1: candidates must be distinct and hold the target 3 once"),
        (
            {"positions": [0, 2], "targets": [2, 3], "candidates": [[1, 2], [3, 2]]},
            "row 0: position must be one of the user's in test with an item before it, got 0",
        ),
        ({"candidates": [[1, 3], [3, 999_999]]}, r"row 1: candidates must lie in 1..3, got \[     3 999999\]"),
        ({"candidates": [[0, 3], [3, 2]]}, r"row 0: candidates must lie in 1..3, got \[0 3\]"),
        ({"targets": [3, 2]}, "row 1: target must be the user's item at the position, got 2"),
        ({"user_ids": [2, 7]}, "row 1: user_id must be one of the sequences', got 7"),
        ({"user_ids": [0, 2]}, "row 0: user_id must be one of the sequences', got 0"),
        ({"user_ids": [1, 2]}, "row 0: position must be one of the user's in test with an item before it, got 2"),
        ({"positions": [2, 3]}, "row 1: position must be one of the user's in test with an item before it, got 3"),
        ({"positions": [-1, 2]}, "row 0: position must be one of the user's in test with an item before it, got -1"),
        ({"splits": ["test", "train"]}, "row 1: position must be one of the user's in train"),
        ({"splits": ["test", "tset"]}, "row 1: split must be one of train, validation, test, got tset"),
        ({"scopes": ["last", "lost"]}, "row 1: scope must be one of last, all, got lost"),
        ({"candidates": [[3], [3]]}, r"candidates must have one size ≥ 2, got \[1\]"),
        ({"candidates": [[2, 3], [3, 1]]}, "row 1: candidates must not hold the item right before the target, got 1"),
        ({"draws": [0, 0]}, "draws must be 0, 1, 2, … once each, got 0 where 1 was due in example 0"),
        ({"draws": [7, 0]}, "draws must be 0, 1, 2, … once each, got 7 where 1 was due in example 0"),
        ({"draws": [1, 2]}, "draws must be 0, 1, 2, … once each, got 1 where 0 was due in example 0"),
    ],
)
def test_candidates_that_break_the_contract_are_refused(
    tmp_path: Path, items: Items, sequences: Sequences, sets: CandidateSets, changes: dict[str, list], expected: str
) -> None:
    arrays = {name: np.array(values, getattr(sets, name).dtype) for name, values in changes.items()}
    _write(tmp_path, items, sequences, replace(sets, **arrays))
    with pytest.raises(ArtifactError, match=expected):
        read_candidates(tmp_path / "c.parquet", items, sequences)


def test_an_example_is_one_position(tmp_path: Path, items: Items) -> None:
    sequences = make_sequences([[1, 2, 3]], ["test"])
    sets = make_sets(
        example_ids=[0, 0],
        draws=[0, 1],
        user_ids=[1, 1],
        positions=[1, 2],
        targets=[2, 3],
        candidates=[[2, 3], [3, 1]],
    )
    _write(tmp_path, items, sequences, sets)
    with pytest.raises(ArtifactError, match="an example_id must mean one position of one user"):
        read_candidates(tmp_path / "c.parquet", items, sequences)


def test_embeddings_survive_a_round_trip_and_get_a_zero_padding_row(tmp_path: Path) -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    write_embeddings(tmp_path / "e.parquet", ItemEmbeddings(vectors, {"items": "a", "recommender": "b"}))
    read = read_embeddings(tmp_path / "e.parquet", {"items": "a"}, 3)
    assert read.vectors.tolist() == [[0, 0], [2, 3], [4, 5], [6, 7]]
    assert read.made_from == {"items": "a", "recommender": "b"}
    assert read.dim == 2
    with pytest.raises(ArtifactError, match="item_id must run from 1 to 5, got 3 rows"):
        read_embeddings(tmp_path / "e.parquet", {"items": "a"}, 5)


def test_embeddings_must_be_finite_and_have_one_width(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.parquet", ItemEmbeddings(np.array([[0.0], [1.0], [np.nan]]), {}))
    with pytest.raises(ArtifactError, match="must be finite, row 1"):
        read_embeddings(tmp_path / "e.parquet", {}, 2)
    write_table(tmp_path / "e.parquet", pa.table({"item_id": [1], "embedding": [[1.0, 2.0]]}), {})
    with pytest.raises(ArtifactError, match=r"columns must be item_id int32, embedding fixed_size_list.*got item_id"):
        read_embeddings(tmp_path / "e.parquet", {}, 1)


def test_embeddings_of_zeros_tell_nothing(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e.parquet", ItemEmbeddings(np.zeros((4, 2), dtype=np.float32), {}))
    with pytest.raises(ArtifactError, match="e.parquet: embeddings must tell items apart, got zeros alone"):
        read_embeddings(tmp_path / "e.parquet", {}, 3)


def test_the_same_table_gives_the_same_bytes(tmp_path: Path, items: Items, sequences: Sequences) -> None:
    for name in ("a", "b"):
        write_sequences(tmp_path / name, sequences, items)
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
    with pytest.raises(ArtifactError, match="schema version must be 2, got None"):
        read_items(path)


def test_an_empty_place_is_refused(tmp_path: Path, items: Items, sequences: Sequences) -> None:
    write_sequences(tmp_path / "s.parquet", sequences, items)
    table = pq.read_table(tmp_path / "s.parquet")
    for name, values in (("user_id", [1, None]), ("item_ids", [[1, None], [2, 1, 3]])):
        place = table.column_names.index(name)
        holed = table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))
        write_table(tmp_path / "s.parquet", holed, {"items": items.digest})
        with pytest.raises(ArtifactError, match=f"{name} must have a value in every row"):
            read_sequences(tmp_path / "s.parquet", items)


def test_no_damaged_byte_changes_what_is_read(
    tmp_path: Path, items: Items, sequences: Sequences, sets: CandidateSets
) -> None:
    """Bytes of the data, its headers and the footer, every seventh of each file, turned into others."""
    tables = Processed(items, sequences, sets)
    write_processed(tmp_path, tables)
    generator = np.random.default_rng(0)
    refused = 0
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for place in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[place] ^= int(generator.integers(1, 256))
            path.write_bytes(damaged)
            try:
                read = read_processed(tmp_path)
            except ArtifactError:
                refused += 1
            else:
                assert {**read.lineage, "sets": read.sets.digest} == {**tables.lineage, "sets": sets.digest}, place
        path.write_bytes(whole)
    assert refused > 500


def test_two_hundred_overwritten_bytes_in_the_middle_are_refused(tmp_path: Path, items: Items) -> None:
    generator = np.random.default_rng(0)
    lists = [generator.integers(1, 4, size=50).tolist() for _ in range(200)]
    path = tmp_path / "s.parquet"
    write_sequences(path, make_sequences(lists, ["train"] * 200), items)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="not a readable Parquet file"):
        read_sequences(path, items)
