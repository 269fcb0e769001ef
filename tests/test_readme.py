"""Every command in the documentation names what exists: targets, stages, options and parameters."""

import re
import shlex
from itertools import pairwise

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from llara.commands import COMMANDS as COMMANDS_OF_LLARA
from llara.program import build_program, load_command
from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    (document.name, line)
    for document in DOCUMENTS
    for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


def _lookup(path: str) -> object:
    value = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    for key in path.split("."):
        value = value[key]
    return value


@pytest.mark.parametrize(("document", "line"), COMMANDS)
def test_commands_name_what_exists(document: str, line: str) -> None:
    words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=.*", word)]
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), document
    elif words[:2] == ["python", "-m"]:
        assert (ROOT / (words[2].replace(".", "/") + ".py")).is_file(), document
    elif words[0] == "source":
        assert words[1] == ".venv/bin/activate", document
    elif words[0] in ("llara", ".venv/bin/llara"):
        _require_command(words[1:])
    elif words[:2] == ["accelerate", "launch"]:
        module = words[words.index("-m") + 1]
        assert module == "llara" or (ROOT / (module.replace(".", "/") + ".py")).is_file(), document
        if module == "llara":
            _require_command(words[words.index("-m") + 2 :])
    else:
        assert words[0] == "dvc", document
        assert words[1] in ("repro", "status", "exp", "metrics", "plots"), document
    for config in re.findall(r"--config_file (\S+)", line):
        assert (ROOT / config).is_file(), document
    for option, setting in pairwise(words):
        if option == "-S":
            _lookup(setting.split("=")[0])


def _require_command(words: list[str]) -> None:
    """Check a command of `llara`, and its options."""
    entries = {entry.name: entry for entry in COMMANDS_OF_LLARA}
    command = get_command(build_program()) if words[0].startswith("-") else load_command(entries[words[0]])
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_documentation_has_commands_and_links_that_exist() -> None:
    assert ("README.md", "make repro") in COMMANDS
    assert ("README.md", "make test") in COMMANDS
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), target


def test_no_placeholder_is_left() -> None:
    for document in DOCUMENTS:
        assert not re.search(r"@[A-Z]+@", document.read_text())
