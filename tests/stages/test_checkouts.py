"""Bringing experiments home out of clones, at whatever moment the command before was killed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from llara_core.errors import ArtifactError
from stages import checkouts
from stages.checkouts import Checkouts

REFERENCE = "refs/exps/ab/cdef/suite-arm-s0-1234"
NAME = "suite-arm-s0-1234"


def _git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.chdir(folder)
    _git(folder, "init", "-q")
    _git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


@pytest.fixture
def opened(root: Path) -> Checkouts:
    return Checkouts(Path(), root / "cache")


@pytest.fixture
def clone(root: Path, opened: Checkouts) -> Path:
    """A clone in which an experiment has finished."""
    folder = opened.state / "checkouts" / NAME
    folder.parent.mkdir(parents=True)
    _git(root, "clone", "-q", "--shared", str(root), str(folder))
    _git(folder, "commit", "-q", "--allow-empty", "-m", "result")
    _git(folder, "update-ref", REFERENCE, "HEAD")
    return folder


def test_what_is_finished_comes_home_and_its_clone_goes(opened: Checkouts, clone: Path, root: Path) -> None:
    result = _git(clone, "rev-parse", "HEAD")
    opened.collect()
    assert opened.commits_of(NAME) == [result]
    assert _git(root, "cat-file", "-t", result) == "commit"
    assert not clone.exists()


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("place", ["before the fetch", "before the removal", "amid the removal", "after it"])
def test_a_kill_while_collecting_loses_nothing(
    opened: Checkouts, clone: Path, root: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    result, remove = _git(clone, "rev-parse", "HEAD"), shutil.rmtree

    def begin_to_remove(folder: Path, **how: object) -> None:
        # Entries go in the file system's order: the worst is a reference that outlives what it leads to.
        for objects in [path for path in Path(folder).rglob("objects") if path.parent.name == ".git"]:
            for part in objects.iterdir():
                remove(part)
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if place == "before the fetch":
            patched.setattr(checkouts, "git", _die)
        elif place == "before the removal":
            patched.setattr(shutil, "rmtree", _die)
            patched.setattr(Path, "rename", _die)
        elif place == "amid the removal":
            patched.setattr(shutil, "rmtree", begin_to_remove)
        try:
            opened.collect()
            killed = False
        except KeyboardInterrupt:
            killed = True
    assert killed == (place != "after it")
    again = Checkouts(Path(), root / "cache")
    again.collect()
    assert again.commits_of(NAME) == [result]
    assert _git(root, "cat-file", "-t", result) == "commit"
    assert not list((again.state / "checkouts").iterdir())
    assert not list(again.state.rglob("HEAD"))


def test_what_cannot_be_fetched_is_kept(opened: Checkouts, clone: Path) -> None:
    shutil.rmtree(clone / ".git" / "objects")
    (clone / ".git" / "objects").mkdir()
    with pytest.raises(ArtifactError, match="git fetch"):
        opened.collect()
    assert clone.exists()
