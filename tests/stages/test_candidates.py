"""Stage candidates on small tables, beside a tiny recommender."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from llara_core.errors import ArtifactError
from llara_core.evaluation.hard_lists import draw_hard_lists
from llara_core.params.loading import load_params
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.ranking import neural_scorer
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.asked_lists import read_asked_lists
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed, read_processed, write_processed
from stages.candidates import candidates
from tests.conftest import ROOT
from tests.factories import make_sequences
from tests.recommenders.recipes import tiny

N_ITEMS = 30
PROCESSED, RECOMMENDER, ASKED = Path("data/processed"), Path("data/recommender"), Path("data/candidates")


def _train(seed: int) -> None:
    torch.manual_seed(seed)
    made_from = read_processed(PROCESSED).lineage
    config = RecommenderConfig(recommender=tiny("sasrec"), n_items=N_ITEMS, history_length=8, made_from=made_from)
    RECOMMENDER.mkdir(parents=True, exist_ok=True)
    save_recommender(RECOMMENDER, build_recommender(tiny("sasrec"), N_ITEMS, history_length=8), config)


def _write_params(rule: str, pool: int = 9, seed: int = 0) -> None:
    text = (ROOT / "params.yaml").read_text()
    for old, new in (
        ("negatives: outside_history", f"negatives: {rule}"),
        ("{pool: 100}", f"{{pool: {pool}}}"),
        ("  size: 20", "  size: 5"),
        ("  seed: 0 # of", f"  seed: {seed} # of"),
        ("validation: 20, test: 20", "validation: 2, test: 3"),
        ("  history_length: 10", "  history_length: 4"),
        ("caser, context: 10", "caser, context: 4"),
    ):
        assert old in text
        text = text.replace(old, new)
    Path("params.yaml").write_text(text)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where tables and a recommender stand."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    lists = [generator.choice(np.arange(1, N_ITEMS + 1), size=8, replace=False).tolist() for _ in range(12)]
    sequences = make_sequences(lists, ["train"] * 6 + ["validation"] * 3 + ["test"] * 3)
    names = pa.array([f"item {number}" for number in range(N_ITEMS)])
    items = Items(names, names, sequences.count_training(N_ITEMS))
    _write_params("outside_history")
    params = load_params(Path("params.yaml"))
    sets = build_candidate_sets(sequences, N_ITEMS, params.candidates, 4, 3)
    PROCESSED.mkdir(parents=True)
    write_processed(PROCESSED, Processed(items, sequences, sets))
    _train(seed=0)
    return tmp_path


@pytest.mark.parametrize("rule", ["outside_history", "outside_recent", "popularity"])
def test_all_but_hard_lists_are_passed_on_as_they_are(rule: str) -> None:
    _write_params(rule)
    candidates(Path("params.yaml"))
    assert (ASKED / "candidates.parquet").read_bytes() == (PROCESSED / "candidates.parquet").read_bytes()
    report = json.loads(Path("metrics/candidates.json").read_text())
    assert report["negatives"] == rule
    tables = read_processed(PROCESSED)
    sets, counts = tables.sets.of("test"), tables.items.popularity
    entry = report["last"]["test"]
    assert (entry["lists"], entry["positions"]) == (9, 3)
    assert entry["mean_n_train"]["targets"] == pytest.approx(counts[sets.targets].mean())
    others = counts[sets.candidates].sum() - counts[sets.targets].sum()
    assert entry["mean_n_train"]["negatives"] == pytest.approx(others / (9 * 4), abs=1e-6)
    assert set(entry) == {"lists", "positions", "mean_n_train"}
    assert report["all"]["validation"]["positions"] == 3 * 5


def test_collections_without_lists_are_absent_from_the_report() -> None:
    tables = read_processed(PROCESSED)
    sets = tables.sets.select((tables.sets.scopes == "last") | (tables.sets.splits == "test"))
    write_processed(PROCESSED, Processed(tables.items, tables.sequences, sets))
    candidates(Path("params.yaml"))
    report = json.loads(Path("metrics/candidates.json").read_text())
    assert {scope: set(report[scope]) for scope in ("last", "all")} == {"last": {"validation", "test"}, "all": {"test"}}


def test_nothing_but_hard_lists_waits_for_torch(folder: Path) -> None:
    (RECOMMENDER / "config.json").unlink()
    program = "import sys; from pathlib import Path; from stages.candidates import candidates"
    program += "; candidates(Path('params.yaml')); print({'torch', 'transformers', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_hard_lists_are_those_of_the_recommender_at_hand() -> None:
    _write_params("hard", pool=9, seed=5)
    candidates(Path("params.yaml"))
    tables = read_processed(PROCESSED)
    model, lineage = load_recommender(RECOMMENDER, tables.lineage)
    found = read_asked_lists(ASKED / "candidates.parquet", tables, lineage["recommender"])
    assert found.chosen_by == lineage["recommender"]
    expected = draw_hard_lists(neural_scorer(model.double()), tables, seed=5, pool=9, history_length=4)
    assert found.sets.digest == expected.sets.digest
    assert found.sets.digest != tables.sets.digest
    report = json.loads(Path("metrics/candidates.json").read_text())
    assert report["negatives"] == "hard"
    is_asked = (tables.sets.splits == "test") & (tables.sets.scopes == "all")
    entry = report["all"]["test"]
    assert entry["targets_in_pool"] == pytest.approx(expected.targets_in_pool[is_asked].mean(), abs=1e-6)
    assert entry["pool_size"] == 9
    first = (ASKED / "candidates.parquet").read_bytes()
    candidates(Path("params.yaml"))
    assert (ASKED / "candidates.parquet").read_bytes() == first
    _train(seed=1)
    candidates(Path("params.yaml"))
    with pytest.raises(ArtifactError, match="was made from other recommender than those at hand"):
        read_asked_lists(ASKED / "candidates.parquet", tables, lineage["recommender"])


def test_scores_are_computed_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 a pool would depend on the batch."""
    from llara_core.recommenders import pools

    seen = []
    real = pools.best_others

    def watch(score, task, *rest):
        seen.append(score(task.histories).dtype)
        return real(score, task, *rest)

    monkeypatch.setattr("llara_core.evaluation.hard_lists.best_others", watch)
    _write_params("hard")
    candidates(Path("params.yaml"))
    assert seen == [torch.float64]


def test_hard_lists_need_a_recommender_of_these_tables() -> None:
    _write_params("hard")
    candidates(Path("params.yaml"))
    before = (ASKED / "candidates.parquet").read_bytes()
    config = RECOMMENDER / "config.json"
    config.write_text(config.read_text().replace(read_processed(PROCESSED).lineage["sequences"], "0" * 64))
    with pytest.raises(ArtifactError, match="recommender: was made from other sequences than those at hand"):
        candidates(Path("params.yaml"))
    assert (ASKED / "candidates.parquet").read_bytes() == before  # nothing half-written
