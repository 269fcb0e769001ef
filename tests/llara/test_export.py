"""The command on a tiny repository: what it prints, what it refuses, and how it ends."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from llara_core.params.params import Params
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from llara_core.runtime.paths import ADAPTER, EMBEDDINGS, PROCESSED, RECOMMENDER
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.embeddings import ItemEmbeddings, write_embeddings
from llara_core.tables.items import Items, read_items
from llara_core.tables.processed import Processed, read_processed, write_processed
from tests.factories import make_sequences, name_source
from tests.llara.conftest import Run
from tests.recommenders.recipes import tiny
from tests.recommending.tiny import LENGTH, LISTS, N_ITEMS


@pytest.fixture
def root(root: Path) -> Path:
    name_source(root, "ml-100k")
    return root


@pytest.fixture
def run(llara: Run) -> Run:
    return partial(llara, "export")


def test_a_line_says_what_was_written_and_a_note_what_is_uncertain(run: Run) -> None:
    status, out, err = run("out", "--private")
    assert status == 0
    assert out.startswith("out: stream, 1 layers, ")
    [note] = [line for line in err.splitlines() if line.startswith("note: ")]
    assert "the base model's licence is not known" in note
    assert Path("out/model.safetensors").is_file()


def test_json_is_one_document(run: Run) -> None:
    status, out, _ = run("out", "--private", "--json")
    found = json.loads(out)
    assert status == 0
    assert {key: found[key] for key in ("folder", "objective", "layers", "private")} == {
        "folder": "out",
        "objective": "stream",
        "layers": 1,
        "private": True,
    }
    assert found["files"] == {path.name: path.stat().st_size for path in Path("out").iterdir()}


def test_movielens_is_refused_without_private(run: Run, root: Path) -> None:
    status, out, err = run("out", "--json")
    told = json.loads(out)
    assert (status, told["exit_code"], told["error"]["type"]) == (1, 1, "LicenceError")
    assert "(MovieLens-100K: GroupLens: research, no redistribution); --private writes it" in err.splitlines()[-1]
    assert not (root / "out").exists()


def test_no_model_yet(run: Run, root: Path) -> None:
    shutil.rmtree(root / ADAPTER)
    status, _, err = run("out", "--private")
    assert status == 1
    assert err.splitlines()[-1] == f"error: {ADAPTER}/llara.json: no such file; run `dvc repro finetune`"
    shutil.rmtree(root / PROCESSED)
    assert (
        run("out", "--private")[2] == f"error: {PROCESSED}/items.parquet: no such file; run `dvc repro` to produce it\n"
    )
    assert not (root / "out").exists()


def test_another_dataset_s_model(run: Run, root: Path, repository_of: Callable[[str], tuple[Path, Params]]) -> None:
    names = read_items(root / PROCESSED / "items.parquet").titles
    sequences = make_sequences([*LISTS, [1, 2, 3]], ["train"] * (len(LISTS) - 2) + ["validation", "test", "test"])
    items = Items(names, names, sequences.count_training(N_ITEMS))
    sets = build_candidate_sets(sequences, N_ITEMS, repository_of("stream")[1].candidates, LENGTH, 1)
    write_processed(root / PROCESSED, Processed(items, sequences, sets))
    status, _, err = run("out", "--private")
    assert status == 1
    assert err.splitlines()[-1].startswith("error: data/recommender: was made from other items and sequences than")
    assert not (root / "out").exists()


def test_an_adapter_of_another_recommender(run: Run, root: Path) -> None:
    """All is whole and belongs together, but the adapter, which was trained beside an earlier recommender."""
    tables = read_processed(root / PROCESSED)
    config = {"recommender": tiny("sasrec"), "n_items": N_ITEMS, "history_length": LENGTH}
    saved = RecommenderConfig(**config, made_from=tables.lineage)
    save_recommender(root / RECOMMENDER, build_recommender(tiny("sasrec"), N_ITEMS, LENGTH), saved)
    recommender, lineage = load_recommender(root / RECOMMENDER, tables.lineage)
    write_embeddings(root / EMBEDDINGS, ItemEmbeddings(recommender.items.weight.detach().numpy(), lineage))
    status, _, err = run("out", "--private")
    assert status == 1
    assert err.splitlines()[-1].startswith(
        "error: data/adapter/llara.json: was made from other recommender and embeddings than those at hand: "
    )
    assert not (root / "out").exists()


def test_a_folder_that_is_there(run: Run, root: Path) -> None:
    status, _, err = run("data", "--private", "--force")
    assert (status, err) == (
        1,
        "error: data: must not be there yet, and is no export that --force could replace\n",
    )
    assert (root / ADAPTER / "llara.json").is_file()
