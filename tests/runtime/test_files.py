import errno
import json
from pathlib import Path

import pytest

from llara_core.runtime.files import (
    atomic_directory,
    atomic_file,
    cache_directory,
    checkpoint_directory,
    write_json,
    write_metrics,
)


def _fail_in_file(path: Path) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("killed")


def _fail_in_directory(path: Path) -> None:
    with atomic_directory(path) as temporary:
        (temporary / "half").write_text("half")
        raise RuntimeError("killed")


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError):
        _fail_in_file(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_a_failed_directory_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _fail_in_directory(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_replaces_the_old_one_whole(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale").write_text("")
    with atomic_directory(tmp_path / "out") as temporary:
        (temporary / "new").write_text("")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".out.0a_bcdef.tmp").mkdir()
    (tmp_path / ".out.0a_bcdef.tmp" / "half").write_text("half")
    (tmp_path / ".file.0a_bcdef.tmp").write_text("half")
    others = [".file.parquet.0a_bcdef.tmp", ".other.0a_bcdef.tmp", ".out.2.0a_bcdef.tmp"]  # at work, for all we know
    for name in others:
        (tmp_path / name).write_text("not ours")
    with atomic_directory(tmp_path / "out"), atomic_file(tmp_path / "file"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [*others, "file", "out"]


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / ".other.0a_bcdef.tmp").write_text("not ours")
    (tmp_path / ".[a].0a_bcdef.tmp").write_text("half")
    with atomic_file(tmp_path / "*"), atomic_file(tmp_path / "[a]"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["*", ".other.0a_bcdef.tmp", "[a]"]


def test_the_old_directory_is_there_where_the_new_one_can_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if (self / "new").exists():
            raise OSError(errno.EBUSY, "busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="busy"), atomic_directory(tmp_path / "out") as temporary:
        (temporary / "new").write_text("")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]


def test_a_link_to_a_directory_is_replaced_and_what_it_leads_to_kept(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "theirs").write_text("")
    (tmp_path / "out").symlink_to(tmp_path / "there")
    with atomic_directory(tmp_path / "out") as temporary:
        (temporary / "new").write_text("")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["theirs"]


def test_json_is_sorted_and_rounded_to_six_decimals(tmp_path: Path) -> None:
    write_metrics(tmp_path / "m.json", {"b": 1 / 3, "a": [2, {"c": 0.1 + 0.2}]})
    assert (tmp_path / "m.json").read_text() == (
        '{\n  "a": [\n    2,\n    {\n      "c": 0.3\n    }\n  ],\n  "b": 0.333333\n}\n'
    )


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "m.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_state_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", "/repo")
    monkeypatch.delenv("LLARA_CACHE", raising=False)
    monkeypatch.setenv("LLARA_CHECKPOINT_DIR", "/elsewhere")
    assert cache_directory() == Path("/repo/.llara/cache")
    assert checkpoint_directory() == Path("/elsewhere")


def test_a_configuration_is_read_as_it_was(tmp_path: Path) -> None:
    write_json(tmp_path / "c.json", {"lr": 4e-7, "decay": 1 / 3})
    assert json.loads((tmp_path / "c.json").read_text()) == {"lr": 4e-7, "decay": 1 / 3}
