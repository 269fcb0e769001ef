"""Evaluation as a whole on tiny artifacts: what belongs together is accepted, and asked what it should be."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from llara_core.errors import ArtifactError
from llara_core.evaluation import judging
from llara_core.evaluation.judging import judge, read_artifacts
from llara_core.finetuning.tuning import tune
from llara_core.hybrid.adapter import save_adapter
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.embeddings import ItemEmbeddings, read_embeddings, write_embeddings
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed, read_processed, write_processed
from tests.conftest import TITLES, make_llama
from tests.factories import make_sequences
from tests.recommenders.recipes import tiny

N_ITEMS = len(TITLES) - 1


def _recommender(folder: Path, tables: Processed, seed: int) -> None:
    torch.manual_seed(seed)
    model = build_recommender(tiny("sasrec"), N_ITEMS, history_length=3)
    config = RecommenderConfig(recommender=tiny("sasrec"), n_items=N_ITEMS, history_length=3, made_from=tables.lineage)
    folder.mkdir(exist_ok=True)
    save_recommender(folder, model, config)


def _embeddings(folder: Path) -> None:
    model, lineage = load_recommender(folder / "recommender", read_processed(folder).lineage)
    write_embeddings(folder / "e.parquet", ItemEmbeddings(model.items.weight.detach().numpy(), lineage))


@pytest.fixture
def small(params: Params, tokenizer, tmp_path: Path) -> Params:
    llm = tmp_path / "llm"
    make_llama(len(tokenizer)).save_pretrained(llm)
    tokenizer.save_pretrained(llm)
    changes = {
        "split": params.split.model_copy(update={"min_history": 1, "history_length": 3}),
        "candidates": params.candidates.model_copy(
            update={"size": 3, "draws": params.candidates.draws.model_copy(update={"validation": 1, "test": 2})}
        ),
        "projector": params.projector.model_copy(update={"hidden": 6}),
        "curriculum": params.curriculum.model_copy(update={"epochs": 1, "examples_per_epoch": 2}),
        "train": params.train.model_copy(update={"batch_size": 2, "micro_batch_size": 2}),
        "llm": params.llm.model_copy(update={"name": "tiny"}),
        "llms": {"tiny": FolderLlm(source="folder", path=llm, dtype="float32")},
    }
    return params.model_copy(update=changes)


@pytest.fixture
def folder(small: Params, tmp_path: Path) -> Path:
    """Return a folder with all that finetuning reads and leaves."""
    sequences = make_sequences(
        [[1, 2, 3, 4], [5, 6, 7], [2, 8, 1], [3, 5, 7, 2, 6]], ["train", "train", "validation", "test"]
    )
    names = pa.array(TITLES[1:])
    counts = np.bincount([1, 2, 3, 4, 5, 6, 7], minlength=N_ITEMS + 1)[1:].astype(np.int32)
    sets = build_candidate_sets(sequences, N_ITEMS, small.candidates, 3, seed=0)
    write_processed(tmp_path, Processed(Items(names, names, counts), sequences, sets))
    tables = read_processed(tmp_path)
    _recommender(tmp_path / "recommender", tables, seed=0)
    _embeddings(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    tuned = tune(
        small, tables, read_embeddings(tmp_path / "e.parquet", tables.lineage, N_ITEMS), tmp_path / "checkpoints"
    )
    (tmp_path / "adapter").mkdir()
    save_adapter(tmp_path / "adapter", tuned.adapted, tuned.model.projector, tuned.manifest)
    return tmp_path


def _read(folder: Path) -> judging.Artifacts:
    return read_artifacts(folder, folder / "recommender", folder / "e.parquet", folder / "adapter")


@pytest.mark.parametrize("mode", ["as_trained", "hybrid", "text"])
def test_the_stored_lists_are_asked_after_the_latest_items(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    asked = []
    real = judging.ask

    def watch(model, prompts, candidates, *rest):
        asked.extend(zip(prompts, candidates.tolist(), strict=True))
        return real(model, prompts, candidates, *rest)

    monkeypatch.setattr(judging, "ask", watch)
    artifacts = _read(folder)
    judged = judge(
        small.model_copy(update={"eval": small.eval.model_copy(update={"mode": mode, "draws": 2})}), artifacts
    )
    assert judged.sets.targets.tolist() == [6, 6]
    assert [row for _, row in asked] == artifacts.tables.sets.of("test").candidates.tolist()
    for prompt, row in asked:
        assert prompt.slot_items == ([] if mode == "text" else [5, 7, 2, *row])
    assert judged.metrics["llara"]["n_examples"] == 2
    assert set(artifacts.lineage) == {"items", "sequences", "recommender", "embeddings", "candidates", "adapter"}


def test_an_adapter_is_refused_beside_another_recommender(folder: Path) -> None:
    _recommender(folder / "recommender", read_processed(folder), seed=1)
    with pytest.raises(ArtifactError, match="e.parquet: was made from other recommender than those at hand"):
        _read(folder)
    _embeddings(folder)
    with pytest.raises(ArtifactError, match="llara.json: was made from other recommender and embeddings than those"):
        _read(folder)


def test_an_adapter_is_refused_when_its_base_model_has_changed(folder: Path) -> None:
    path = folder / "llm" / "generation_config.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ArtifactError, match="made from other llm than those at hand: .* `dvc repro --force finetune`"):
        _read(folder)
