"""Two processes that evaluate together wait for each other."""

import time
from pathlib import Path

import pytest

from llara_core.evaluation import pieces
from llara_core.evaluation.pieces import Pieces
from llara_core.runtime.compute import wait_for_all
from llara_core.runtime.processes import is_main_process
from tests.evaluation.test_pieces import Asked, make_sets, same


def test_the_main_process_waits_for_a_slow_one(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_EXAMPLES", 2)
    monkeypatch.setattr(pieces, "_PIECES", 1)
    wait_for_all()
    time.sleep(0 if is_main_process() else 2)
    kept = Pieces(shared / "pieces", "print")
    kept.work("a", Asked(), make_sets())
    wait_for_all()
    if is_main_process():
        assert same(kept.collect("a", make_sets()), Asked()(make_sets(), lambda _: None))
