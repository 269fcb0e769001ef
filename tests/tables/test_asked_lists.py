from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from llara_core.errors import ArtifactError
from llara_core.tables.asked_lists import read_asked_lists, write_hard_lists
from llara_core.tables.candidates import CandidateSets, write_candidates
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed
from tests.factories import make_sequences, make_sets


def _sets(candidates: list[list[int]]) -> CandidateSets:
    return make_sets(
        example_ids=[0, 0], draws=[0, 1], user_ids=[2, 2], positions=[2, 2], targets=[3, 3], candidates=candidates
    )


@pytest.fixture
def tables() -> Processed:
    names = pa.array(["Heat", "Café", "Alien", "Babe", "Fargo"])
    items = Items(names, names, np.array([1, 0, 1, 0, 0], dtype=np.int32))
    return Processed(items, make_sequences([[1, 3], [2, 1, 3]], ["train", "test"]), _sets([[4, 3], [3, 4]]))


HARD = _sets([[5, 3], [3, 5]])
OTHERS = "must have digest .*; run `dvc repro`"


def test_lists_that_were_passed_on_are_those_of_preprocessing(tmp_path: Path, tables: Processed) -> None:
    path = tmp_path / "c.parquet"
    write_candidates(path, tables.sets, tables.items, tables.sequences)
    found = read_asked_lists(path, tables, "any")
    assert found.sets.digest == tables.sets.digest
    assert found.chosen_by is None
    redrawn = replace(tables, sets=_sets([[5, 3], [3, 4]]))  # of the same items and sequences, by another seed
    with pytest.raises(
        ArtifactError, match=f"c.parquet: was made from other candidates than those at hand: .*{OTHERS}"
    ):
        read_asked_lists(path, redrawn, "any")


def test_hard_lists_are_refused_beside_what_they_were_not_made_from(tmp_path: Path, tables: Processed) -> None:
    path = tmp_path / "c.parquet"
    write_hard_lists(path, HARD, tables, "mine")
    found = read_asked_lists(path, tables, "mine")
    assert found.sets.candidates.tolist() == [[5, 3], [3, 5]]
    assert found.chosen_by == "mine"
    redrawn = replace(tables, sets=_sets([[5, 3], [3, 4]]))
    popular = replace(tables.items, n_train=tables.items.n_train + 1)
    for beside, recommender, what in (
        (tables, "theirs", "recommender"),
        (redrawn, "mine", "candidates"),
        (redrawn, "theirs", "candidates and recommender"),
        (replace(tables, items=popular), "mine", "items"),
        (replace(tables, sequences=replace(tables.sequences, timestamps=np.arange(5) + 1)), "mine", "sequences"),
    ):
        with pytest.raises(ArtifactError, match=f"was made from other {what} than those at hand: .*{OTHERS}"):
            read_asked_lists(path, beside, recommender)


def test_lists_that_break_the_contract_are_refused(tmp_path: Path, tables: Processed) -> None:
    path = tmp_path / "c.parquet"
    write_hard_lists(path, _sets([[1, 3], [3, 5]]), tables, "mine")
    with pytest.raises(ArtifactError, match="row 0: candidates must not hold the item right before the target, got 1"):
        read_asked_lists(path, tables, "mine")


def test_other_negatives_stand_where_the_target_does_not() -> None:
    sets = make_sets(
        example_ids=[0, 1],
        draws=[0, 0],
        user_ids=[1, 2],
        positions=[1, 1],
        targets=[7, 2],
        candidates=[[1, 7, 3], [2, 5, 6]],
    )
    changed = sets.with_negatives(np.array([[8, 9], [4, 3]]))
    assert changed.candidates.tolist() == [[8, 7, 9], [2, 4, 3]]
    assert changed.candidates.dtype == np.int32
    assert sets.candidates.tolist() == [[1, 7, 3], [2, 5, 6]]
