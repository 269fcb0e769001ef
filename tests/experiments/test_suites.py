"""experiments.yaml: what it may hold, and what is said of mistakes."""

from pathlib import Path

import pytest

from llara_core.errors import ParamsError
from llara_core.experiments.suites import Suite, choose_suite, load_suites
from tests.conftest import ROOT

TEXT = """
curriculum:
  question: Does order matter?
  minutes: 10
  examples: 320
  baseline: a
  everywhere: []
  arms:
    a: []
    b: [seed=1]
"""


def _load(tmp_path: Path, text: str) -> dict[str, Suite]:
    path = tmp_path / "experiments.yaml"
    path.write_text(text)
    return load_suites(path)


def test_the_shipped_suites_are_those_that_were_asked_for() -> None:
    assert list(load_suites(ROOT / "experiments.yaml")) == [
        *(
            "curriculum",
            "prompt",
            "projector",
            "fusion",
            "backbone",
            "objective",
            "history_length",
            "data_size",
            "dataset",
        )
    ]


def test_minutes_scale_examples_in_whole_steps(tmp_path: Path) -> None:
    suite = _load(tmp_path, TEXT)["curriculum"]
    assert suite.examples_in(10, 16) == 320
    assert suite.examples_in(5, 16) == 160
    assert suite.examples_in(5.2, 16) == 160  # 166.4
    assert suite.examples_in(25, 48) == 768  # 800
    assert suite.examples_in(0.001, 16) == 16
    assert suite.model_copy(update={"minutes": 0.7}).examples_in(0.07, 16) == 32  # 31.999999999999996 by floating point


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    b: [seed=1]\n", "", "suite.curriculum: arms must hold at least 2, got 1"),
        ("baseline: a", "baseline: c", "suite.curriculum: baseline must be one of the arms a, b, got 'c'"),
        ("minutes: 10", "minutes: 0", "suite.curriculum.minutes must be > 0.0, got 0"),
        (
            "examples: 320",
            "example: 320",
            "suite.curriculum.examples is missing; suite.curriculum.example is unknown, got 320",
        ),
        ("    b: [seed=1]", "    B/1: [seed=1]", "must match ^[a-z0-9][a-z0-9_-]*$, got 'B/1'"),
        ("    b: [seed=1]", "    b: seed=1", "suite.curriculum.arms.b must be a list, got 'seed=1'"),
        ("curriculum:", "curriculum: [", "not valid YAML"),
    ],
)
def test_mistakes_name_field_expectation_and_value(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        _load(tmp_path, TEXT.replace(old, new))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'experiments.yaml'}: ")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no such file"):
        load_suites(tmp_path / "experiments.yaml")


def test_the_nearest_name_is_suggested(tmp_path: Path) -> None:
    suites = _load(tmp_path, TEXT)
    assert choose_suite(suites, "curriculum") is suites["curriculum"]
    with pytest.raises(ParamsError) as caught:
        choose_suite(suites, "curiculum")
    assert str(caught.value) == "SUITE must be one of curriculum, got 'curiculum' (did you mean curriculum?)"
    with pytest.raises(ParamsError) as caught:
        choose_suite(suites, "xyz")
    assert str(caught.value) == "SUITE must be one of curriculum, got 'xyz'"
