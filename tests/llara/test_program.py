"""The program's frame: its help, its completion, which command is loaded, and how errors end it."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from llara import program
from llara.commands import COMMANDS, Entry
from llara_core.errors import ArtifactError, LlaraError
from tests.conftest import ROOT
from tests.stages.test_pipeline_definition import SLOW


def _refuse() -> None:
    """Fail."""
    raise ArtifactError("data/adapter: must be a folder, got none")


def _ask() -> None:
    """Fail with a status and details of its own."""

    class QuestionError(LlaraError):
        exit_code = 3
        details = {"choices": ["Alien", "Aliens"]}  # noqa: RUF012

    raise QuestionError("which?")


def _end(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the program with two commands more; return its status."""
    more = {name: Entry(name, f"{__name__}:_{name}", "fails") for name in ("refuse", "ask")}
    monkeypatch.setattr(program, "COMMANDS", (*COMMANDS, *more.values()))
    monkeypatch.setattr(program, "_ENTRIES", program._ENTRIES | more)
    monkeypatch.setattr(sys, "argv", ["llara", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_has_a_help_and_can_print_json(entry: Entry) -> None:
    shown = CliRunner().invoke(program.build_program(), [entry.name, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert "--json" in shown.output
    assert entry.line.endswith(".")
    assert program.load_command(entry).help


def test_help_lists_all_commands_and_the_exit_codes_and_loads_none() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from llara.program import build_program\n"
        "print(CliRunner().invoke(build_program(), ['--help'], env={'COLUMNS': '120'}).output)\n"
        f"print({SLOW | {'numpy', 'pyarrow', 'llara_core.experiments.comparing'}} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for entry in COMMANDS:
        assert entry.line in shown
    assert "Exit codes: 0 " in shown
    assert shown.splitlines()[-1] == "set()"


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_loading_a_command_does_not_wait_for_torch(entry: Entry) -> None:
    module = entry.place.partition(":")[0]
    code = f"import sys, {module}; print({SLOW - {'scipy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_completion_knows_commands_and_a_command_s_options() -> None:
    def complete(words: str, count: int) -> str:
        environment = {"_LLARA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        return CliRunner().invoke(program.build_program(), [], prog_name="llara", env=environment).output

    assert complete("llara comp", 1).split() == ["compare"]
    assert complete("llara compare --met", 2).split() == ["--metric"]


def test_an_error_is_a_line_and_a_status_and_with_json_a_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _end(monkeypatch, "refuse") == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "error: data/adapter: must be a folder, got none\n")
    monkeypatch.setattr(program, "load_command", _with_json(program.load_command))
    assert _end(monkeypatch, "ask", "--json") == 3
    said = capsys.readouterr()
    told = {"type": "QuestionError", "message": "which?", "choices": ["Alien", "Aliens"]}
    assert json.loads(said.out) == {"error": told, "exit_code": 3}
    assert said.err == "error: which?\n"


def _with_json(load: object) -> object:
    """Load commands that take --json, as all real ones do."""

    def loaded(entry: Entry) -> object:
        command = load(entry)  # type: ignore[operator]
        command.ignore_unknown_options = command.allow_extra_args = True
        return command

    return loaded


def test_a_command_that_does_not_exist_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _end(monkeypatch, "recomend") == 2
    assert "recommend" in capsys.readouterr().err
