from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from llara_core.errors import ParamsError
from llara_core.params import templates
from llara_core.params.loading import describe_problems, load_params
from llara_core.params.sections import Prompt
from tests.conftest import ROOT

SETS = ["artist", "game", "generic", "movie", "product"]


def _prompt(templates: Any) -> Prompt:
    return Prompt(mode="hybrid", form="raw", separator=", ", templates=templates)


def test_the_shipped_sets_are_those_and_each_can_be_named() -> None:
    assert sorted(path.stem for path in templates.FOLDER.iterdir()) == SETS
    texts = {name: _prompt(name).templates for name in SETS}
    for name, found in texts.items():
        assert found == YAML(typ="safe").load((templates.FOLDER / f"{name}.yaml").read_text())
        assert len(found) == 3  # as eval.template counts on
        assert all("{n_candidates}" in text for text in found)
        assert not any(text.endswith(" ") for text in found)  # the answer begins with one
        assert any("{item" in text for text in found) == (name == "generic")
    assert len({text for found in texts.values() for text in found}) == 15
    assert [text.split("{")[0] for text in texts["generic"]] == ["This user has ", "Here are the ", ""]


@pytest.mark.parametrize("name", ["moive", "../movie", "movie.yaml", "", "/etc/passwd"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _prompt(name)
    expected = f"templates: must be a list of templates, or one of artist, game, generic, movie, product, got {name!r}"
    assert expected in describe_problems(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- '{history} {candidates}'\n- '{candidates}'", "own.yaml[1] must contain {history} once, got 0 times"),
        ("- '{history.x} {candidates}'", "own.yaml[0] must use only the placeholders {history}, {candidates}, "),
        ("{history: 1}", "own.yaml must be a list of texts, got {'history': 1}"),
        ("- 3", "own.yaml must be a list of texts, got [3]"),
        ("[]", "own.yaml must be a list of texts, got []"),
        ("", "own.yaml must be a list of texts, got None"),
        ("- [", "own.yaml: not valid YAML"),
        ("- ''", "must contain {history} once"),
    ],
)
def test_a_file_is_checked_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    folder = tmp_path / "llara_core/prompting/templates"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(text)
    monkeypatch.setattr(templates, "FOLDER", folder)
    params = tmp_path / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text().replace("templates: generic", "templates: own"))
    with pytest.raises(ParamsError) as caught:
        load_params(params)
    assert "prompt.templates: llara_core/prompting/templates/own.yaml" in str(caught.value)
    assert expected in str(caught.value)
