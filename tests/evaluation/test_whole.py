"""Evaluation as a whole on tiny artifacts: what belongs together is accepted, and asked what it should be."""

from dataclasses import replace
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
from llara_core.objectives.answer import respondent
from llara_core.params.objectives import ObjectiveChoice
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.embeddings import ItemEmbeddings, read_embeddings, write_embeddings
from llara_core.tables.items import Items
from llara_core.tables.predictions import Predictions
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
    recipe = {"examples_per_epoch": 2, "batch_size": 2, "micro_batch_size": 2}
    answer = params.objectives.answer.model_copy(update=recipe)
    changes = {
        "split": params.split.model_copy(update={"min_history": 1, "history_length": 3}),
        "candidates": params.candidates.model_copy(
            update={"size": 3, "draws": params.candidates.draws.model_copy(update={"validation": 1, "test": 2})}
        ),
        "projector": params.projector.model_copy(update={"hidden": 6}),
        "train": params.train.model_copy(update={"objective": ObjectiveChoice(name="answer")}),
        "objectives": params.objectives.model_copy(update={"answer": answer}),
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
    recommender, lineage = load_recommender(tmp_path / "recommender", tables.lineage)
    embeddings = read_embeddings(tmp_path / "e.parquet", lineage, N_ITEMS)
    tuned = tune(small, tables, recommender, embeddings, tmp_path / "checkpoints")
    (tmp_path / "adapter").mkdir()
    save_adapter(tmp_path / "adapter", tuned.adapted, tuned.model.projector, tuned.manifest)
    return tmp_path


def _asked(params: Params, **changes: object) -> Params:
    return params.model_copy(update={"eval": params.eval.model_copy(update=changes)})


def _read(folder: Path) -> judging.Artifacts:
    return read_artifacts(folder, folder / "recommender", folder / "e.parquet", folder / "adapter")


@pytest.mark.parametrize("mode", ["as_trained", "hybrid", "text"])
def test_the_stored_lists_are_asked_after_the_latest_items(
    small: Params, folder: Path, tokenizer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    asked = []
    real = respondent.ask

    def watch(model, prompts, candidates, *rest):
        asked.append(list(zip(prompts, candidates.tolist(), strict=True)))
        return real(model, prompts, candidates, *rest)

    monkeypatch.setattr(respondent, "ask", watch)
    artifacts = _read(folder)
    judged = judge(_asked(small, mode=mode, draws=2, template=1), artifacts)
    assert judged.sets.targets.tolist() == [6, 6]
    test, validation = asked  # to choose the weight of the recommender beside it
    for found, split, history in ((test, "test", [5, 7, 2]), (validation, "validation", [2, 8])):
        assert [row for _, row in found] == artifacts.tables.sets.of(split).candidates.tolist()
        for prompt, row in found:
            assert tokenizer.decode(prompt.input_ids).startswith("Here are the movies that a user watched")
            assert prompt.slot_items == ([] if mode == "text" else [*history, *row])
    assert judged.metrics["llara"]["n_examples"] == 2
    assert set(artifacts.lineage) == {"items", "sequences", "recommender", "embeddings", "candidates", "adapter"}


@pytest.mark.parametrize(("sign", "hits"), [(-1, 1.0), (1, 0.0)])
def test_the_recommender_s_weight_is_chosen_on_validation(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch, sign: int, hits: float
) -> None:
    """The recommender likes targets least. On validation the language model says the opposite: .55, …, 1 are right.

    With their middle, .8, the language model is followed on test, whether it says the opposite there or the same.
    """
    liking = np.tile(np.arange(1.0, N_ITEMS + 2), (N_ITEMS + 1, 1))
    liking[8, 1] = liking[2, 6] = 0  # by the latest item: what comes next on validation and on test

    def say(_: object, sets: CandidateSets) -> Predictions:
        [split] = set(sets.splits)
        asked.append((split, len(sets)))
        scores = sign * liking[2][sets.candidates] if split == "test" else -liking[8][sets.candidates]
        return Predictions(["x"] * len(sets), sets.candidates[:, 0], scores)

    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(respondent.AnswerRespondent, "answer", say)
    monkeypatch.setattr(judging, "neural_scorer", lambda _: lambda shown: torch.from_numpy(liking[shown[:, -1]]))
    metrics = judge(_asked(small, draws=2), _read(folder)).metrics
    assert asked == [("test", 2), ("validation", 1)]
    together = metrics["llara_with_recommender"]
    assert together["weight"] == pytest.approx(0.8)
    assert together["hit_ratio_at_1"] == hits
    assert together["n_examples"] == 2
    assert metrics["recommender"]["hit_ratio_at_1"] == 0


def test_generation_gives_no_scores_to_be_added_to_the_recommender_s(small: Params, folder: Path) -> None:
    metrics = judge(_asked(small, method="generation"), _read(folder)).metrics
    assert metrics["llara"]["method"] == "generation"
    assert "llara_with_recommender" not in metrics
    assert metrics["recommender"]["n_examples"] == 1
    assert metrics["recommender_all_draws"]["n_examples"] == 2


def _load_nothing(*_: object) -> None:
    raise AssertionError("a model was loaded")


def test_what_does_not_answer_in_words_cannot_be_asked_to(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "load_base_llm", _load_nothing)
    artifacts = _read(folder)
    other = replace(artifacts, manifest=artifacts.manifest.model_copy(update={"objective": "stream"}))
    expected = "eval.method must be scoring for .*adapter, which was trained by stream, got generation"
    with pytest.raises(ArtifactError, match=expected):
        judge(_asked(small, method="generation"), other)


def test_untrained_tokens_are_refused_before_a_model_is_loaded(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "load_base_llm", _load_nothing)
    artifacts = _read(folder)
    other = replace(artifacts, manifest=artifacts.manifest.model_copy(update={"modes": ["text"]}))
    with pytest.raises(ArtifactError, match="eval.mode must be as_trained or text"):
        judge(_asked(small, mode="hybrid"), other)


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
