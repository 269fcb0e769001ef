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

TITLES = [str(item) for item in range(10)]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_EXAMPLES", 2)
    monkeypatch.setattr(pieces, "_PIECES", 1)


class Asked:
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


def make_sets() -> CandidateSets:
    """Lists of five users whose draws stand apart from one another."""
    return make_asked([3, 1, 2, 5, 4, 1, 3, 2, 4, 5], [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]).sets


def same(one: Predictions, other: Predictions) -> bool:
    assert one.scores is not None
    assert other.scores is not None
    return one.answers == other.answers and one.scores.tolist() == other.scores.tolist()


def test_answers_come_back_in_the_order_of_the_lists(tmp_path: Path) -> None:
    sets, model = make_sets(), Asked()
    kept = Pieces(tmp_path, "print")
    assert kept.work("a", model, sets) == 10
    assert model.users == [1, 2, 1, 2, 3, 4, 3, 4, 5, 5]  # all draws of two users at a time
    assert same(kept.collect("a", sets), Asked()(sets, lambda _: None))


@pytest.mark.parametrize("dies_after", [0, 1, 2])
def test_a_killed_evaluation_asks_only_what_is_left(tmp_path: Path, dies_after: int) -> None:
    sets = make_sets()
    with pytest.raises(KeyboardInterrupt):
        Pieces(tmp_path, "print").work("a", Asked(dies_after), sets)
    model, kept = Asked(), Pieces(tmp_path, "print")
    assert kept.work("a", model, sets) == 10 - 4 * dies_after
    assert set(model.users) == set(range(1 + 2 * dies_after, 6))
    assert same(kept.collect("a", sets), Asked()(sets, lambda _: None))
    assert kept.work("a", model, sets) == 0


def test_rows_do_not_share_pieces_and_other_lists_are_refused(tmp_path: Path) -> None:
    sets, kept = make_sets(), Pieces(tmp_path, "print")
    kept.work("a", Asked(), sets)
    assert kept.work("b", Asked(), sets) == 10
    other = sets.select(np.arange(9))
    with pytest.raises(ArtifactError, match="a-2.parquet: must hold answers, but was removed or damaged meanwhile"):
        kept.collect("a", other)


def test_pieces_of_another_evaluation_and_damaged_ones_are_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOGGER, "propagate", True)
    sets = make_sets()
    Pieces(tmp_path, "print").work("a", Asked(), sets)
    assert Pieces(tmp_path, "other").work("a", Asked(), sets) == 10
    assert "a-0.parquet: was made from other evaluation than those at hand" in caplog.text
    (tmp_path / "a-1.parquet").write_bytes(b"")
    assert Pieces(tmp_path, "other").work("a", Asked(), sets) == 4
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
    kept.work("a", say, make_sets())
    assert kept.collect("a", make_sets()).scores is None


def test_processes_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        model = Asked()
        Pieces(tmp_path, "print").work("a", model, make_sets())
        shares.append(sorted(set(model.users)))
    assert shares == [[1, 2, 5], [3, 4]]
    assert same(Pieces(tmp_path, "print").collect("a", make_sets()), Asked()(make_sets(), lambda _: None))
