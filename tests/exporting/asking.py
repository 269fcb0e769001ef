"""Asking an export by the very script that the documentation shows."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

OBJECTIVES = ("stream", "choice", "answer")


def documented_script(objective: str) -> str:
    """Return what docs/exporting.md has below the objective's heading."""
    text = (ROOT / "docs/exporting.md").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"### `{objective}`\n")
    assert found
    match = re.search(r"```python\n(.*?)```", rest, re.DOTALL)
    assert match is not None
    return match[1]


def ask(
    folder: Path,
    history: list[str],
    candidates: list[str] | None,
    script: Path,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, float]:
    """Run the script, and return the score of every title that it prints, in its order."""
    words = [str(folder), *history, *([] if candidates is None else ["--", *candidates])]
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["ask.py", *words])
        runpy.run_path(str(script), run_name="__main__")
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return {title: float(score) for score, title in lines}
