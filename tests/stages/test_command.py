"""How a stage ends that has worked with other processes."""

import io
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from llara_core.errors import DataError
from stages.command import run
from tests.conftest import ROOT
from tests.processes import run_two_processes

_STAGE = """
import os
import sys
import torch
from llara_core.runtime.compute import wait_for_all
from stages.command import run

def stage() -> None:
    wait_for_all()

try:
    run(stage)
finally:
    assert not torch.distributed.is_initialized()
    open(sys.argv[0] + os.environ["RANK"], "w").close()
"""


def test_a_stage_leaves_the_others_before_it_ends(tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text(_STAGE)
    for _ in range(3):
        run_two_processes([str(script)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stage.py", "stage.py0", "stage.py1"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_stage_that_failed_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fails: bool
) -> None:
    """Taking leave waits for the others, who may be waiting for this one."""
    left = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: left.append(True))
    monkeypatch.setattr(sys, "argv", ["stage"])

    def stage() -> None:
        if fails:
            raise DataError("too few users")

    with pytest.raises(SystemExit) as ended:
        run(stage)
    assert (bool(ended.value.code), left) == ((True, []) if fails else (False, [True]))
    assert capsys.readouterr().err == ("error: too few users\n" if fails else "")


def test_of_several_stages_the_first_to_fail_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second has lost the first within an operation of both, or fails of the same cause."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "argv", ["stage"])
    heard = iter([True, False, False])
    monkeypatch.setattr("llara_core.runtime.program.is_first_to_fail", lambda: next(heard))

    def stage() -> None:
        raise errors.pop(0)

    errors = [DataError("too few users"), DataError("too few users"), RuntimeError("Connection closed by peer")]
    for _ in range(3):
        with pytest.raises(SystemExit) as ended:
            run(stage)
        assert ended.value.code == 1
    assert capsys.readouterr().err == "\nerror: too few users\n"


_PRINTS = """
from llara_core.errors import DataError
from llara_core.runtime.program import print_json, run_program

def program() -> None:
    if FAILS:
        raise DataError("too few users")
    print_json({"a": "x" * SIZE})
    raise SystemExit(4)

run_program(program, lambda error: print_json({"error": str(error)}))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize(
    ("fails", "line"),
    [(True, "error: too few users\n"), (False, "error: writing an artifact: No space left on device\n")],
)
def test_output_that_can_not_be_written_is_a_line_and_status_1(
    fails: bool, line: str, size: int, unbuffered: str
) -> None:
    code = f"FAILS, SIZE = {fails}, {size}\n{_PRINTS}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, line)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_has_had_enough_ends_it_quietly(unbuffered: str) -> None:
    code = f"FAILS, SIZE = False, 1\n{_PRINTS}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_stage_prints_what_the_terminal_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(SystemExit):
        run(lambda: print("• Amélie"))
    sys.stdout.flush()
    assert written.getvalue() == b"? Am?lie\n"


@pytest.mark.parametrize(
    "stage", ["fetch", "preprocess", "pretrain", "candidates", "export_embeddings", "finetune", "evaluate"]
)
def test_help_is_worth_reading(stage: str) -> None:
    app = typer.Typer()
    app.command()(getattr(import_module(f"stages.{stage}"), stage))
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert "--params" in shown.output
    assert "metrics" in shown.output
