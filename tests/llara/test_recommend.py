"""The command on a tiny repository: what it prints, what it refuses, and how it ends."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llara_core.params.params import Params
from llara_core.runtime.paths import ADAPTER, PREDICTIONS, PROCESSED
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.items import Items, read_items
from llara_core.tables.processed import Processed, write_processed
from tests.factories import make_sequences
from tests.llara.conftest import Run
from tests.recommending.tiny import LENGTH, LISTS, N_ITEMS


@pytest.fixture
def run(llara: Run) -> Run:
    return partial(llara, "recommend")


def _notes(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("note: ")]


def test_three_rankings_stand_side_by_side_with_what_each_title_contributed(run: Run) -> None:
    status, out, err = run("toy story", "Heat", "The Matrix", "--top", "2")
    assert status == 0
    assert out.splitlines()[:2] == [
        "After Toy Story · Heat · The Matrix",
        f"Ranked: all items not in the history, {N_ITEMS - 2} items",
    ]
    for word in ("LLaRA", "recommender", "together", "What each title contributed"):
        assert word in out
    [note] = _notes(err)
    assert '"The Matrix" is not in the catalogue' in note
    assert "What each" not in run("Heat", "Alien", "--no-why")[1]


def test_json_is_one_document_and_says_the_same(run: Run, root: Path) -> None:
    (root / "tonight.txt").write_text("Alien\nGoldenEye\nBabe\n")
    status, out, _ = run("heat", "Toy Stroy", "--candidates", "tonight.txt", "--json")
    found = json.loads(out)
    assert status == 0
    assert [entry["title"] for entry in found["history"]] == ["Heat", "Toy Story"]
    assert found["ranked"] == {"kind": "given", "n_items": 3}
    assert list(found["rankings"]) == ["llara", "recommender", "llara_with_recommender"]
    for ranking in found["rankings"].values():
        assert sorted(entry["title"] for entry in ranking) == ["Alien", "Babe", "GoldenEye"]
        assert sum(entry["probability"] for entry in ranking) == pytest.approx(1)
        assert all(len(entry["without"]) == 2 for entry in ranking)
    assert found["notes"] == ['"Toy Stroy" is read as "Toy Story"']
    metrics = json.loads((root / "metrics/evaluate.json").read_text())
    assert found["weight"] == metrics["llara_with_recommender"]["weight"]
    assert found["calibration"]["n_lists"] == 2 * len(LISTS)


def test_a_user_of_the_data_with_titles_after_his(run: Run) -> None:
    found = json.loads(run("--user", "2", "Heat", "--json", "--top", "8")[1])
    assert [entry["item_id"] for entry in found["history"]] == [*LISTS[2], 6][-LENGTH:]
    assert {entry["item_id"] for entry in found["rankings"]["llara"]} == {3, 5, 7}  # nothing that he has had
    status, _, err = run("--user", "nobody")
    assert (status, err.splitlines()[-1]) == (
        1,
        f"error: user must be one of the {len(LISTS)} of data/processed/sequences.parquet (raw_user_id), got 'nobody'",
    )


def test_an_ambiguous_title_is_a_question_with_a_status_of_its_own(run: Run, root: Path) -> None:
    shutil.rmtree(root / ADAPTER)  # the question doesn't wait for the model
    status, out, err = run("Toy Story 2", "--json")
    assert status == 3
    told = json.loads(out)
    assert told["exit_code"] == 3
    assert told["error"]["type"] == "AmbiguousTitleError"
    assert told["error"]["questions"] == [
        {"typed": "Toy Story 2", "choices": [{"item_id": 1, "title": "Toy Story"}]},
    ]
    assert err.splitlines()[-1].startswith('error: which title is "Toy Story 2": "Toy Story" (id:1)?')


def test_rankings_of_a_file(run: Run, root: Path) -> None:
    pq.write_table(pa.table({"history": [["Heat"], ["Toy Story", "Alien"]]}), root / "in.parquet")
    status, out, _ = run("--histories", "in.parquet", "--out", "out.parquet", "--json")
    assert (status, json.loads(out)) == (0, {"histories": 2, "out": "out.parquet"})
    found = pq.read_table(root / "out.parquet").to_pylist()
    assert [(row["id"], row["model"]) for row in found] == [
        (name, model) for name in ("0", "1") for model in ("llara", "recommender", "llara_with_recommender")
    ]
    status, out, _ = run("--histories", "in.parquet", "--out", "out.parquet")
    assert out == "out.parquet: rankings after 2 histories\n"
    pq.write_table(pa.table({"history": [["Heat"], []]}), root / "in.parquet")
    status, _, err = run("--histories", "in.parquet", "--out", "none.parquet")
    assert (status, err) == (
        1,
        "error: in.parquet: row 1: history must have at least one title or item id, got none\n",
    )
    assert not (root / "none.parquet").exists()


@pytest.mark.parametrize(
    "words", [("--histories", "in.parquet"), ("--out", "x"), ("Heat", "--histories", "a", "--out", "b")]
)
def test_options_that_do_not_fit_are_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    status, _, err = run(*words)
    assert status == 2
    assert "--histories" in err


@pytest.mark.parametrize("out", ["in.parquet", "./data/../in.parquet", "data"])
def test_the_input_is_not_written_over_and_a_folder_is_no_file(run: Run, root: Path, out: str) -> None:
    (root / "in.parquet").write_bytes(b"histories")
    status, _, err = run("--histories", "in.parquet", "--out", out)
    wanted = Path(out)
    assert (status, err) == (1, f"error: --out must be a file, and another one than --histories, got {wanted}\n")
    assert (root / "in.parquet").read_bytes() == b"histories"


@pytest.mark.parametrize("words", [(), ("",)])
def test_an_empty_history(run: Run, words: tuple[str, ...]) -> None:
    status, out, err = run(*words)
    assert (status, out) == (1, "")
    assert err.startswith("error: a ")
    assert err.count("\n") == 1


def test_no_model_yet(run: Run, root: Path) -> None:
    shutil.rmtree(root / ADAPTER)
    assert run("Heat")[2].splitlines()[-1] == f"error: {ADAPTER}/llara.json: no such file; run `dvc repro finetune`"
    shutil.rmtree(root / PROCESSED)
    status, _, err = run("Heat")
    assert (status, err) == (1, f"error: {PROCESSED}/items.parquet: no such file; run `dvc repro` to produce it\n")


def test_without_an_evaluation_the_two_are_not_added(run: Run, root: Path) -> None:
    shutil.rmtree(root / PREDICTIONS)
    status, out, err = run("Heat")
    assert (status, "together" in out) == (0, False)
    assert "this model has not been evaluated; run `dvc repro evaluate`" in _notes(err)[0]


def test_another_dataset_s_model(run: Run, root: Path, repository_of: Callable[[str], tuple[Path, Params]]) -> None:
    names = read_items(root / PROCESSED / "items.parquet").titles
    sequences = make_sequences([*LISTS, [1, 2, 3]], ["train"] * (len(LISTS) - 2) + ["validation", "test", "test"])
    items = Items(names, names, sequences.count_training(N_ITEMS))
    sets = build_candidate_sets(sequences, N_ITEMS, repository_of("stream")[1].candidates, LENGTH, 1)
    write_processed(root / PROCESSED, Processed(items, sequences, sets))
    status, _, err = run("Heat")
    assert status == 1
    assert err.splitlines()[-1].startswith(
        "error: data/recommender: was made from other items and sequences than those at hand: "
    )
    assert err.splitlines()[-1].endswith("run `dvc repro`")
