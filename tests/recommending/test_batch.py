"""Many histories at once: the same as one by one, in one process or two, resumed after a kill."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llara_core.params.params import Params
from llara_core.recommending import batch
from llara_core.recommending.batch import recommend_batch
from llara_core.recommending.requests import Request
from llara_core.recommending.service import RecommendationService
from llara_core.runtime.files import sha256_of
from llara_core.tables.rankings import read_rankings
from tests.conftest import TITLES
from tests.processes import run_two_processes
from tests.recommending.tiny import LISTS

HISTORIES = [[*items[: 1 + k % 4], *(["The Matrix"] if k % 5 == 0 else [])] for k, items in enumerate(LISTS * 4)]


def _requests() -> dict[str, Request]:
    return {f"row {k}": Request(tuple(history), top=3) for k, history in enumerate(HISTORIES)}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLARA_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    monkeypatch.setattr(batch, "_PIECE", 5)
    path = tmp_path / "in.parquet"
    titles = [[item if isinstance(item, str) else TITLES[item] for item in history] for history in HISTORIES]
    pq.write_table(pa.table({"id": list(_requests()), "history": titles}), path)
    return path


def test_many_are_answered_as_one_by_one(service: RecommendationService, source: Path, tmp_path: Path) -> None:
    goal = tmp_path / "out" / "rankings.parquet"
    recommend_batch(service, _requests(), source, goal)
    rows = read_rankings(goal, {**service.lineage, "histories": sha256_of(source)}).to_pylist()
    assert len(rows) == 3 * len(HISTORIES)
    for name, request in _requests().items():
        answer = service.recommend(request)
        own = [row for row in rows if row["id"] == name]
        assert [row["model"] for row in own] == list(answer.rankings)
        for row, ranked in zip(own, answer.rankings.values(), strict=True):
            assert row["item_ids"] == [entry.item_id for entry in ranked]
            assert row["titles"] == [TITLES[item] for item in row["item_ids"]]
            assert row["scores"] == pytest.approx([entry.score for entry in ranked], abs=1e-5)
            assert row["probabilities"] == pytest.approx([entry.probability for entry in ranked], abs=1e-5)
            assert row["not_in_catalogue"] == [item for item in request.history[-3:] if isinstance(item, str)]
    assert not list((tmp_path / "checkpoints").glob("*/*/*.parquet"))


def test_a_killed_run_goes_on_to_the_same_bytes(
    service: RecommendationService, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommend_batch(service, _requests(), source, tmp_path / "whole.parquet")
    asked, real = [], service.recommend_many

    def answer(requests: list[Request]) -> object:
        asked.append(len(requests))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(requests)

    monkeypatch.setattr(service, "recommend_many", answer)
    goal = tmp_path / "out.parquet"
    with pytest.raises(KeyboardInterrupt):
        recommend_batch(service, _requests(), source, goal)
    assert not goal.exists()
    damaged = sorted((tmp_path / "checkpoints").glob("recommend/*/*.parquet"))[0]
    damaged.write_bytes(b"PAR1")
    recommend_batch(service, _requests(), source, goal)
    assert asked == [5, 5, 5, 5, 5, 5, 4]  # the damaged one, the interrupted one, and those after it
    assert goal.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_two_processes_write_the_bytes_of_one(
    repository_of: Callable[[str], tuple[Path, Params]], service: RecommendationService, source: Path, tmp_path: Path
) -> None:
    recommend_batch(service, _requests(), source, tmp_path / "one.parquet")
    root, goal = repository_of("stream")[0], tmp_path / "two.parquet"
    start = "import llara_core.recommending.batch as batch; batch._PIECE = 5; from llara.program import main; main()"
    words = ["recommend", "--histories", str(source), "--out", str(goal), "--top", "3"]
    run_two_processes(["-c", f"import os; os.chdir({str(root)!r}); {start}", *words])
    assert goal.read_bytes() == (tmp_path / "one.parquet").read_bytes()
