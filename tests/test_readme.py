"""Every command in the documentation names what exists: targets, stages, options and parameters."""

import re
import shlex
from itertools import pairwise

import pytest
from ruamel.yaml import YAML

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
    else:
        assert words[0] == "dvc", document
        assert words[1] in ("repro", "status", "exp", "metrics", "plots"), document
    for option, setting in pairwise(words):
        if option == "-S":
            _lookup(setting.split("=")[0])


def test_the_documentation_has_commands_and_links_that_exist() -> None:
    assert ("README.md", "make repro") in COMMANDS
    assert ("README.md", "make test") in COMMANDS
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), target


def test_no_placeholder_is_left() -> None:
    for document in DOCUMENTS:
        assert not re.search(r"@[A-Z]+@", document.read_text())
