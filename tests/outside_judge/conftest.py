"""The key, and a small repository: eight films, four test users with two stored lists each."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from llara_core.tables.candidates import CandidateSets, write_candidates
from llara_core.tables.items import Items
from llara_core.tables.predictions import SCORED, Answered, Asked, Predictions, write_predictions
from llara_core.tables.processed import Processed, read_processed, write_processed
from tests.conftest import ROOT, TITLES
from tests.factories import make_sequences, make_sets

KEY = "sk-0123456789abcdefghij"
# Toy Story 1, GoldenEye 2, Four Rooms 3, Alien 4, Alien 3 5, Heat 6, The Piano 7, Babe 8.
HISTORIES = [[1, 2, 3, 4], [5, 6, 7, 8], [1, 2, 3], [4, 5, 6], [8, 7, 5], [2, 1, 8]]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)


def make_lists() -> CandidateSets:
    return make_sets(
        example_ids=[0, 0, 1, 1, 2, 2, 3, 3],
        draws=[0, 1] * 4,
        user_ids=[3, 3, 4, 4, 5, 5, 6, 6],
        positions=[2] * 8,
        targets=[3, 3, 6, 6, 5, 5, 8, 8],
        candidates=[[3, 4, 5], [6, 3, 7], [1, 6, 2], [6, 7, 8], [5, 1, 2], [3, 4, 5], [8, 4, 6], [5, 8, 3]],
    )


def make_tables() -> Processed:
    names = pa.array(TITLES[1:])
    counts = np.ones(len(TITLES) - 1, dtype=np.int32)
    sequences = make_sequences(HISTORIES, ["train"] * 2 + ["test"] * 4)
    return Processed(Items(names, names, counts), sequences, make_lists())


def make_scored(asked: Asked, hits: list[int]) -> Predictions:
    """Answers by score: the target's is above the two others', 2 and 1, or below them."""
    is_target = asked.sets.candidates == asked.sets.targets[:, None]
    others = np.where(np.cumsum(~is_target, axis=1) == 1, 2.0, 1.0)
    scores = np.where(is_target, np.where(np.array(hits)[:, None], 3.0, 0.0), others).astype(np.float32)
    best = asked.sets.candidates[np.arange(len(asked)), scores.argmax(axis=1)]
    return Predictions([TITLES[item] for item in best], [SCORED] * len(asked), best, scores)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with params.yaml, stored lists, and an evaluation in which llara hits every second list."""
    monkeypatch.chdir(tmp_path)
    for name in ("DVC_ROOT", "LLARA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    write_processed(Path("data/processed"), make_tables())
    tables = read_processed(Path("data/processed"))
    write_candidates(Path("data/candidates/candidates.parquet"), tables.sets, tables.items, tables.sequences)
    asked = Asked.of(tables.sets, tables.items)
    models = {"llara": make_scored(asked, [1, 0] * 4), "recommender": make_scored(asked, [1] * 8)}
    write_predictions(Path("data/predictions"), Answered(asked, models), {})
    return tmp_path
