"""A tiny repository with a trained model, and the program run in it."""

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llara.program import main
from llara_core.params.params import Params
from tests.recommending.conftest import repository_of

__all__ = ["Run", "repository_of"]
Run = Callable[..., tuple[int, str, str]]
"""Runs a command; returns its status, stdout and stderr."""


@pytest.fixture
def root(repository_of: Callable[[str], tuple[Path, Params]], tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    shutil.copytree(repository_of("stream")[0], folder)
    return folder


@pytest.fixture
def llara(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`llara` in `root`, in this process; signals are handled as before afterwards."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "160")

    def start(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["llara", *words])
        capsys.readouterr()
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return start
