from pathlib import Path

import numpy as np
import pytest

from llara_core.errors import ArtifactError
from llara_core.evaluation import pieces
from llara_core.evaluation.pieces import Pieces
from llara_core.objectives.asking import Advance, best_of
from llara_core.runtime.logs import LOGGER
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import NONE, Predictions
from tests.evaluation.stored import make_asked
from tests.processes import run_two_processes

TITLES = [str(item) for item in range(10)]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_EXAMPLES", 2)
    monkeypatch.setattr(pieces, "_PIECES", 1)


class _Model:
    """Scores by user, draw and item, and counts what it is asked; dies when it has answered `dies_after` pieces."""

    def __init__(self, dies_after: int = 99) -> None:
        self.users: list[int] = []
        self._left = dies_after

    def __call__(self, sets: CandidateSets, advance: Advance) -> Predictions:
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        self.users += sets.user_ids.tolist()
        advance(len(sets))
        scores = np.sin(sets.candidates * (sets.user_ids * 3 + sets.draws)[:, None])
        return best_of(sets.candidates, scores, TITLES)


def _sets() -> CandidateSets:
    """Lists of five users whose draws stand apart from one another."""
    return make_asked([3, 1, 2, 5, 4, 1, 3, 2, 4, 5], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]).sets


def _same(one: Predictions, other: Predictions) -> bool:
    assert one.scores is not None
    assert other.scores is not None
    return one.answers == other.answers and one.scores.tolist() == other.scores.tolist()


def test_answers_come_back_in_the_order_of_the_lists(tmp_path: Path) -> None:
    sets, model = _sets(), _Model()
    kept = Pieces(tmp_path, "print")
    assert kept.work("a", model, sets) == 10
    assert model.users == [1, 2, 1, 2, 3, 4, 3, 4, 5, 5]  # all draws of two users at a time
    assert _same(kept.collect("a", sets), _Model()(sets, lambda _: None))


@pytest.mark.parametrize("dies_after", [0, 1, 2])
def test_a_killed_evaluation_asks_only_what_is_left(tmp_path: Path, dies_after: int) -> None:
    sets = _sets()
    with pytest.raises(KeyboardInterrupt):
        Pieces(tmp_path, "print").work("a", _Model(dies_after), sets)
    model, kept = _Model(), Pieces(tmp_path, "print")
    assert kept.work("a", model, sets) == 10 - 4 * dies_after
    assert set(model.users) == set(range(1 + 2 * dies_after, 6))
    assert _same(kept.collect("a", sets), _Model()(sets, lambda _: None))
    assert kept.work("a", model, sets) == 0


def test_rows_do_not_share_pieces_and_other_lists_are_refused(tmp_path: Path) -> None:
    sets, kept = _sets(), Pieces(tmp_path, "print")
    kept.work("a", _Model(), sets)
    assert kept.work("b", _Model(), sets) == 10
    other = sets.select(np.arange(9))
    with pytest.raises(ArtifactError, match="a-2.parquet: must hold answers, but was removed or damaged meanwhile"):
        kept.collect("a", other)


def test_pieces_of_another_evaluation_and_damaged_ones_are_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOGGER, "propagate", True)
    sets = _sets()
    Pieces(tmp_path, "print").work("a", _Model(), sets)
    assert Pieces(tmp_path, "other").work("a", _Model(), sets) == 10
    assert "a-0.parquet: was made from other evaluation than those at hand" in caplog.text
    (tmp_path / "a-1.parquet").write_bytes(b"")
    assert Pieces(tmp_path, "other").work("a", _Model(), sets) == 4
    assert "asking again: " in caplog.text
    assert "a-1.parquet: not a readable Parquet file" in caplog.text


def test_there_is_work_for_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    kept = Pieces(tmp_path, "print")
    for n_users, expected in ((95, [6] * 15 + [5]), (1, [1]), (16 * 128 + 1, [128] * 16 + [1])):
        assert [len(rows) for _, rows in kept._pieces("a", make_asked(list(range(n_users))).sets)] == expected


def test_free_answers_have_no_scores(tmp_path: Path) -> None:
    def say(sets: CandidateSets, _: Advance) -> Predictions:
        return Predictions(["?"] * len(sets), [NONE] * len(sets), np.zeros(len(sets), dtype=np.int32), None)

    kept = Pieces(tmp_path, "print")
    kept.work("a", say, _sets())
    assert kept.collect("a", _sets()).scores is None


_WAIT = """
import sys
import time
from pathlib import Path
import torch
from llara_core.evaluation import pieces
from llara_core.runtime.compute import wait_for_all
from llara_core.runtime.processes import is_main_process
from tests.evaluation.test_pieces import _Model, _sets
pieces._EXAMPLES, pieces._PIECES = 2, 1
wait_for_all()
time.sleep(0 if is_main_process() else 3)
kept = pieces.Pieces(Path(sys.argv[1]), "print")
kept.work("a", _Model(), _sets())
wait_for_all()
if is_main_process():
    kept.collect("a", _sets())
torch.distributed.destroy_process_group()
"""


def test_processes_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        model = _Model()
        Pieces(tmp_path, "print").work("a", model, _sets())
        shares.append(sorted(set(model.users)))
    assert shares == [[1, 2, 5], [3, 4]]
    assert _same(Pieces(tmp_path, "print").collect("a", _sets()), _Model()(_sets(), lambda _: None))


def test_the_main_process_waits_for_a_slow_one(tmp_path: Path) -> None:
    run_two_processes(["-c", _WAIT, str(tmp_path)])
    assert _same(Pieces(tmp_path, "print").collect("a", _sets()), _Model()(_sets(), lambda _: None))
