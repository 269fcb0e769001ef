from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llara_core.errors import ArtifactError
from llara_core.tables.items import Items
from llara_core.tables.parquet import write_table
from llara_core.tables.predictions import (
    NONE,
    SCORED,
    WHOLE,
    Answered,
    Asked,
    Predictions,
    read_predictions,
    write_predictions,
)
from tests.factories import make_sets

ITEMS = Items(pa.array(["7", "9", "11"]), pa.array(["Heat", "Café", "Alien"]), np.array([4, 0, 9], dtype=np.int32))
SETS = make_sets(
    example_ids=[0, 0, 1],
    draws=[0, 1, 0],
    user_ids=[2, 2, 3],
    scope="all",
    positions=[2, 2, 9],
    targets=[3, 3, 2],
    candidates=[[2, 3], [3, 1], [1, 2]],
)
SCORES = np.array([[-1.0, -1.0], [-1.0, -2.0], [0.5, 0.25]], dtype=np.float32)
CHOSEN = Predictions(["Café", "Alien", "Heat"], [SCORED] * 3, np.array([2, 3, 1]), SCORES)
WRITTEN = Predictions(["Alien", "Ali", ""], [WHOLE, NONE, NONE], np.array([3, 0, 0]), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    answered = Answered(Asked.of(SETS, ITEMS), {"chosen": CHOSEN, "written": WRITTEN})
    write_predictions(tmp_path, answered, {"adapter": "a"})
    return tmp_path


def test_what_was_answered_survives_a_round_trip(folder: Path) -> None:
    read = read_predictions(folder)
    assert read.asked.sets.digest == SETS.digest
    assert read.asked.n_train.tolist() == [[0, 9], [9, 4], [4, 0]]
    assert read.asked.target_n_train.tolist() == [9, 9, 0]
    assert list(read.predictions) == ["chosen", "written"]
    for name, expected in (("chosen", CHOSEN), ("written", WRITTEN)):
        found = read.predictions[name]
        assert (found.answers, found.matches) == (expected.answers, expected.matches)
        assert found.matched_items.tolist() == expected.matched_items.tolist()
    assert read.predictions["chosen"].scores is not None
    assert read.predictions["chosen"].scores.tolist() == SCORES.tolist()
    assert read.predictions["written"].scores is None


def test_who_chose_hard_negatives_is_kept(tmp_path: Path) -> None:
    assert Asked.of(SETS, ITEMS).chosen_by is None
    for chosen_by in (None, "a recommender"):
        write_predictions(tmp_path, Answered(Asked.of(SETS, ITEMS, chosen_by), {}), {"recommender": "another"})
        assert read_predictions(tmp_path).asked.chosen_by == chosen_by


def test_ties_and_nan_count_against_the_target(folder: Path) -> None:
    assert CHOSEN.target_ranks(SETS).tolist() == [2, 1, 2]
    scores = SCORES.copy()
    scores[1, 1] = np.nan
    assert replace(CHOSEN, scores=scores).target_ranks(SETS).tolist() == [2, 2, 2]
    assert pq.read_table(folder / "chosen.parquet")["target_rank"].to_pylist() == [2, 1, 2]
    assert pq.read_table(folder / "written.parquet")["target_rank"].to_pylist() == [0, 0, 0]


def _rewrite(path: Path, **columns: list) -> None:
    """Put other values into a table and leave its stamp."""
    table = pq.read_table(path)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    pq.write_table(table, path, write_page_checksum=True)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"match": ["scored", "exact", "scored"]}, "match must be one of scored, whole, inside, none, got 'exact'"),
        ({"matched_item": [2, 2, 1]}, "row 1: matched_item must be one of the candidates where match isn't none"),
        ({"match": ["none", "scored", "scored"]}, "row 0: matched_item must be .* 0 where it is, got 2 with none"),
        (
            {"match": ["scored", "none", "scored"], "matched_item": [2, 7, 1]},  # of no candidate, but not 0
            "row 1: matched_item must be .* 0 where it is, got 7 with none",
        ),
        ({"target_rank": [1, 1, 2]}, "target_rank must be the target's rank by scores"),
        ({"matched_item": [2, 1, 1]}, "row 1: matched_item must have the best score, got 1"),
        ({"scores": [[np.nan, 1.0], [2.0, 1.0], [2.0, 1.0]]}, "row 0: matched_item must have the best score, got 2"),
        ({"scores": [[], [], []]}, "row 0: matched_item must have the best score, got 2"),
        (
            {"catalogue_rank": [1, 1, 1]},
            "catalogue_rank must be ≥ 1 in every row where top holds items, and 0 where none",
        ),
        (
            {"catalogue_rank": [1, 0, 1], "top": [[3], [3], [2]]},
            "catalogue_rank must be ≥ 1 in every row where top holds items, and 0 where none",
        ),
        ({"top": [[3], [3], [2]]}, "catalogue_rank must be ≥ 1 in every row where top holds items, and 0 where none"),
        (
            {"catalogue_rank": [1, 2, 1], "top": [[3], [1], [1]]},
            r"row 2: the target, 2, must be among the first catalogue_rank items of top, got 1 and \[1\]",
        ),
        (
            {"catalogue_rank": [3, 1, 1], "top": [[3, 1], [2, 3], [2, 1]]},
            r"row 1: the target, 3, must be among the first catalogue_rank items of top, got 1 and \[2, 3\]",
        ),
        (
            {"catalogue_rank": [3, 2, 2], "top": [[3, 1], [2, 1], [2, 1]]},
            r"row 1: the target, 3, must be among the first catalogue_rank items of top, got 2 and \[2, 1\]",
        ),
        ({"scores": [[1.0], [1.0], [1.0]]}, "scores must be of no candidate or of all 2, got 1"),
        ({"scores": [[1.0, 2.0], [1.0], [1.0, 2.0]]}, r"scores must have one size in all rows, got \[1, 2\]"),
    ],
)
def test_answers_that_break_the_contract_are_refused(folder: Path, columns: dict[str, list], expected: str) -> None:
    _rewrite(folder / "chosen.parquet", **columns)
    with pytest.raises(ArtifactError, match=f"chosen.parquet: {expected}"):
        read_predictions(folder)


def test_a_target_may_stand_before_the_rank_that_ties_give_it(folder: Path) -> None:
    _rewrite(folder / "chosen.parquet", catalogue_rank=[2, 3, 9], top=[[3, 1], [3, 2], [1, 0]])
    assert read_predictions(folder).predictions["chosen"].catalogue_ranks.tolist() == [2, 3, 9]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"candidates": [[2, 3], [2, 1], [1, 2]]}, "row 1: candidates must be distinct and hold the target 3 once"),
        ({"candidates": [[2, 3], [3, 3], [1, 2]]}, "row 1: candidates must be distinct and hold the target 3 once"),
        ({"n_train": [[1], [1], [1]]}, "n_train must have a number for each of 2 candidates, got 1"),
    ],
)
def test_lists_that_break_the_contract_are_refused(folder: Path, columns: dict[str, list], expected: str) -> None:
    _rewrite(folder / "lists.parquet", **columns)
    with pytest.raises(ArtifactError, match=f"lists.parquet: {expected}"):
        read_predictions(folder)


def test_answers_to_other_lists_are_refused(folder: Path) -> None:
    _rewrite(folder / "lists.parquet", n_train=[[1, 9], [9, 4], [4, 0]])
    with pytest.raises(ArtifactError, match="chosen.parquet: was made from other lists than those at hand"):
        read_predictions(folder)


def test_answers_of_another_number_are_refused(folder: Path) -> None:
    table = pq.read_table(folder / "chosen.parquet")
    digest = Asked.of(SETS, ITEMS).digest
    write_table(folder / "chosen.parquet", table.replace_schema_metadata().slice(0, 2), {"lists": digest})
    with pytest.raises(ArtifactError, match="chosen.parquet: must have a row for each of 3 lists, got 2"):
        read_predictions(folder)
