"""Which stages DVC has results of: entries of its run cache, made by hand."""

import json
import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from llara_core.experiments.pipeline import Stage
from llara_core.experiments.records import Cache, Record, recorded_stages

TRAIN = Stage("train", "train", {"seed": 0}, ("train.py",), (), ("weights", "train.json"))
JUDGE = Stage("judge", "judge", {}, ("judge.py",), ("weights",), ("answers",))
CODE = {"train.py": "c1", "judge.py": "c2"}
TRAINED = Record("train", {"seed": 0}, {"train.py": "c1"}, {"weights": "w", "train.json": "j"})
JUDGED = Record("judge", {}, {"judge.py": "c2", "weights": "w"}, {"answers": "a"})


def test_a_stage_is_known_by_command_params_code_and_inputs() -> None:
    def known(*records: Record, code: dict[str, str] = CODE) -> list[str]:
        return list(recorded_stages([TRAIN, JUDGE], code, records))

    assert known(TRAINED, JUDGED) == ["train", "judge"]
    assert known(JUDGED, TRAINED) == ["train", "judge"]
    assert known(JUDGED) == []  # what it would read isn't known
    assert known(TRAINED) == ["train"]
    assert known(TRAINED, JUDGED, code=CODE | {"judge.py": "new"}) == ["train"]
    assert known(TRAINED, JUDGED, code=CODE | {"train.py": "new"}) == []
    for wrong in (
        Record("train --fast", *list(TRAINED.__dict__.values())[1:]),
        Record("train", {"seed": 1}, TRAINED.deps, TRAINED.outs),
        Record("train", {"seed": 0, "more": 1}, TRAINED.deps, TRAINED.outs),
        Record("train", {"seed": 0}, {"train.py": "c1", "more.py": "c3"}, TRAINED.outs),
        Record("train", {"seed": 0}, TRAINED.deps, {"weights": "w"}),
    ):
        assert known(wrong, JUDGED) == []


def test_of_several_runs_of_a_stage_the_first_counts() -> None:
    other = Record("train", {"seed": 0}, {"train.py": "c1"}, {"weights": "v", "train.json": "j"})
    found = recorded_stages([TRAIN, JUDGE], CODE, [other, TRAINED, JUDGED])
    assert found == {"train": other}  # DVC would take these weights, of which there are no answers


def _store(cache: Path, digest: str, content: str = "") -> None:
    path = cache / "files" / "md5" / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def _remember(cache: Path, key: str, value: str, time: float, entry: dict[str, Any]) -> None:
    path = cache / "runs" / key[:2] / key / value
    path.parent.mkdir(parents=True, exist_ok=True)
    YAML().dump(entry, path)
    os.utime(path, (time, time))


def _entry(weights: str) -> dict[str, Any]:
    return {
        "cmd": "train",
        "deps": [{"path": "train.py", "hash": "md5", "md5": "c1", "size": 3}],
        "params": {"params.yaml": {"seed": 0}},
        "outs": [{"path": "weights", "hash": "md5", "md5": weights}],
    }


def test_the_run_cache_is_read_latest_first_and_only_where_outputs_are_there(tmp_path: Path) -> None:
    folder, member, lost = "ab12.dir", "cd34", "ef56"
    _store(tmp_path, folder, json.dumps([{"md5": member, "relpath": "x"}]))
    _store(tmp_path, member)
    _remember(tmp_path, "k1", "old", 100, _entry(member))
    _remember(tmp_path, "k1", "new", 200, _entry(folder))
    _remember(tmp_path, "k2", "lost", 300, _entry(lost))
    (tmp_path / "runs" / "k2" / "k2" / "torn").write_text("cmd: [")
    assert [record.outs for record in Cache(tmp_path).records()] == [{"weights": folder}, {"weights": member}]
    assert Cache(tmp_path).records()[0] == Record("train", {"seed": 0}, {"train.py": "c1"}, {"weights": folder})


def test_a_folder_is_there_with_all_its_files(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    _store(tmp_path, "ab12.dir", json.dumps([{"md5": "cd34", "relpath": "x"}, {"md5": "ef56", "relpath": "y"}]))
    _store(tmp_path, "cd34")
    assert not cache.holds("ab12.dir")
    _store(tmp_path, "ef56")
    assert cache.holds("ab12.dir")
    assert cache.holds("cd34")
    assert not cache.holds("9999")
    assert not cache.holds("")


def test_an_output_without_a_digest_is_not_there(tmp_path: Path) -> None:
    entry = _entry("x") | {"outs": [{"path": "weights"}]}
    _remember(tmp_path, "k1", "v", 1, entry)
    assert Cache(tmp_path).records() == []
    assert Record.of({"cmd": "c"}) == Record("c", {}, {}, {})
