"""Stages of dvc.yaml, resolved by hand; digests of code as DVC wrote them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from llara_core.errors import ParamsError
from llara_core.experiments.pipeline import Stage, code_digests, signatures, stages_of
from tests.conftest import ROOT

PARAMS: dict[str, Any] = {"seed": 0, "model": {"name": "a"}, "models": {"a": {"size": 1}, "b": {"size": 2}}}
PIPELINE: dict[str, Any] = {
    "stages": {
        "judge": {"cmd": "judge", "deps": ["data/weights", "judge.py"], "outs": [{"data/answers": {"push": False}}]},
        "train": {
            "cmd": r"\${LAUNCH:-python} train",
            "deps": ["train.py"],
            "params": ["seed", "model", "models.${model.name}"],
            "outs": ["data/weights"],
            "metrics": [{"metrics/train.json": {"cache": False}}],
        },
    }
}
CODE = {"train.py": "1", "judge.py": "2"}


def test_stages_are_resolved_and_ordered_by_what_they_read() -> None:
    assert stages_of(PIPELINE, PARAMS) == [
        Stage(
            "train",
            "${LAUNCH:-python} train",
            {"seed": 0, "model": {"name": "a"}, "models.a": {"size": 1}},
            ("train.py",),
            (),
            ("data/weights", "metrics/train.json"),
        ),
        Stage("judge", "judge", {}, ("judge.py",), ("data/weights",), ("data/answers",)),
    ]


def test_what_is_not_selected_does_not_count() -> None:
    def of(params: dict[str, Any], code: dict[str, str] = CODE) -> dict[str, str]:
        return signatures(stages_of(PIPELINE, params), code)

    found = of(PARAMS)
    assert of(PARAMS | {"models": {"a": {"size": 1}, "b": {"size": 9}}}) == found
    other = of(PARAMS | {"seed": 1})
    assert other["train"] != found["train"]
    assert other["judge"] != found["judge"]  # it reads what the other has written
    other = of(PARAMS, CODE | {"judge.py": "3"})
    assert (other["train"] == found["train"], other["judge"] == found["judge"]) == (True, False)


def test_missing_params_and_circles_are_named() -> None:
    with pytest.raises(ParamsError, match="stage train depends on params.yaml's models.c, which isn't there"):
        stages_of(PIPELINE, PARAMS | {"model": {"name": "c"}})
    circle = {"stages": {name: {"cmd": name, "deps": [dep], "outs": [name]} for name, dep in (("a", "b"), ("b", "a"))}}
    with pytest.raises(ParamsError, match="stages must not wait for each other, got a, b"):
        stages_of(circle, PARAMS)


def test_digests_of_code_are_dvc_s(tmp_path: Path) -> None:
    (tmp_path / "room" / "b").mkdir(parents=True)
    for name, content in (("one.py", "1"), ("room/b/c.py", "2"), ("room/b.py", "3"), ("room/untracked.py", "4")):
        (tmp_path / name).write_text(content)
    files = {"one.py": ["one.py"], "room": ["room/b/c.py", "room/b.py"]}
    stage = Stage("s", "s", {}, ("one.py", "room"), (), ())
    found = code_digests([stage], files.__getitem__, tmp_path)
    listed = [{"md5": hashlib.md5(b"3").hexdigest(), "relpath": "b.py"}]  # noqa: S324
    listed += [{"md5": hashlib.md5(b"2").hexdigest(), "relpath": "b/c.py"}]  # noqa: S324
    assert found == {
        "one.py": hashlib.md5(b"1").hexdigest(),  # noqa: S324
        "room": hashlib.md5(json.dumps(listed).encode()).hexdigest() + ".dir",  # noqa: S324
    }
    with pytest.raises(ParamsError, match="gone must be in git, got nothing there"):
        code_digests([Stage("s", "s", {}, ("gone",), (), ())], lambda path: [], tmp_path)


def test_the_shipped_pipeline_is_read_whole() -> None:
    pipeline, params = (YAML(typ="safe").load((ROOT / name).read_text()) for name in ("dvc.yaml", "params.yaml"))
    stages = {stage.name: stage for stage in stages_of(pipeline, params)}
    assert list(stages) == list(pipeline["stages"])
    assert stages["finetune"].params["objectives.stream"]["layers"] == 4
    assert stages["finetune"].command == "${LLARA_LAUNCH:-python} -m stages.finetune"
    assert stages["finetune"].reads == ("data/processed", "data/recommender", "data/embeddings")
    assert stages["evaluate"].outs[-1] == "metrics/evaluate_timing.json"
