import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llara_core.errors import ArtifactError
from llara_core.evaluation import pieces
from llara_core.evaluation.pieces import Pieces
from llara_core.objectives.asking import Advance, best_of
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import NONE, Predictions
from tests.conftest import ROOT
from tests.evaluation.stored import make_asked

TITLES = [str(item) for item in range(10)]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_EXAMPLES", 2)


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
    kept = Pieces(tmp_path)
    assert kept.work("a", model, sets) == 10
    assert model.users == [1, 2, 1, 2, 3, 4, 3, 4, 5, 5]  # all draws of two users at a time
    assert _same(kept.collect("a", sets), _Model()(sets, lambda _: None))


@pytest.mark.parametrize("dies_after", [0, 1, 2])
def test_a_killed_evaluation_asks_only_what_is_left(tmp_path: Path, dies_after: int) -> None:
    sets = _sets()
    with pytest.raises(KeyboardInterrupt):
        Pieces(tmp_path).work("a", _Model(dies_after), sets)
    model, kept = _Model(), Pieces(tmp_path)
    assert kept.work("a", model, sets) == 10 - 4 * dies_after
    assert set(model.users) == set(range(1 + 2 * dies_after, 6))
    assert _same(kept.collect("a", sets), _Model()(sets, lambda _: None))
    assert kept.work("a", model, sets) == 0


def test_rows_do_not_share_pieces_and_other_lists_are_refused(tmp_path: Path) -> None:
    sets, kept = _sets(), Pieces(tmp_path)
    kept.work("a", _Model(), sets)
    assert kept.work("b", _Model(), sets) == 10
    other = sets.select(np.arange(9))
    with pytest.raises(ArtifactError, match="a-2.parquet: was made from other lists than those at hand"):
        kept.collect("a", other)


def test_free_answers_have_no_scores(tmp_path: Path) -> None:
    def say(sets: CandidateSets, _: Advance) -> Predictions:
        return Predictions(["?"] * len(sets), [NONE] * len(sets), np.zeros(len(sets), dtype=np.int32), None)

    kept = Pieces(tmp_path)
    kept.work("a", say, _sets())
    assert kept.collect("a", _sets()).scores is None


_SHARE = """
import sys
from pathlib import Path
from llara_core.evaluation import pieces
from tests.evaluation.test_pieces import _Model, _sets
pieces._EXAMPLES = 2
model = _Model()
pieces.Pieces(Path(sys.argv[1])).work("a", model, _sets())
print(sorted(set(model.users)))
"""


def test_processes_share_the_work(tmp_path: Path) -> None:
    shares = []
    for rank in ("0", "1"):
        environment = os.environ | {"RANK": rank, "WORLD_SIZE": "2"}
        command = [sys.executable, "-c", _SHARE, str(tmp_path)]
        shares.append(
            subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
        )
    assert shares == ["[1, 2, 5]\n", "[3, 4]\n"]
    assert _same(Pieces(tmp_path).collect("a", _sets()), _Model()(_sets(), lambda _: None))
