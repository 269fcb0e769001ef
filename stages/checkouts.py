"""Runs of DVC experiments in clones of their own, so that a kill at any moment touches neither checkout nor results."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from llara_core.errors import ArtifactError, ParamsError
from llara_core.runtime.files import cache_directory, checkpoint_directory, state_directory
from llara_core.runtime.logs import LOGGER

_PATIENCE = 20.0  # seconds that a stage gets to end by itself


def git(*words: str, folder: Path = Path()) -> str:
    """Return what a git command prints.

    Raises:
        ArtifactError: it fails, with git's words.
    """
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise ArtifactError(f"git {words[0]}: {' '.join(done.stderr.split()) or done.returncode}")
    return done.stdout.rstrip("\n")


@dataclass(frozen=True)
class Job:
    """An experiment at work."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float

    def stop(self) -> None:
        """End what is left of DVC and the stage that it runs, which goes on from its checkpoint the next time."""
        for number, patience in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, None)):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(patience)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


class Checkouts:
    """Starts experiments in clones below .llara/experiments, and brings them home.

    Not `--temp` or `--queue` in the user's checkout: for a moment both put away what isn't committed there, and a
    command that is killed then leaves it away; and what it has left in the queue, the next one runs.
    """

    def __init__(self, root: Path, cache: Path) -> None:
        """Work for the repository at `root`, whose DVC cache is at `cache`."""
        self._root, self._cache = root.resolve(), cache.resolve()
        self.state = (root / state_directory() / "experiments").resolve()
        self._clones = self.state / "checkouts"

    def tracked(self, path: str) -> list[str]:
        """Files in git at or below `path`.

        Raises:
            ParamsError: there are others, which no experiment would see.
        """
        new = git("ls-files", "--others", "--exclude-standard", "--", path, folder=self._root)
        if new:
            raise ParamsError(f"{new.splitlines()[0]} must be in git, or DVC's experiments don't see it; `git add` it")
        return git("ls-files", "--", path, folder=self._root).splitlines()

    def commits_of(self, name: str) -> list[str]:
        """Commits of the experiments of this name, of whichever commits they are experiments."""
        return list(self._references(self._root, name).values())

    def experiments(self, pattern: str) -> list[str]:
        """Names of all experiments that a pattern of git fits."""
        return sorted({reference.rsplit("/", 1)[-1] for reference in self._references(self._root, pattern)})

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Wait until nothing else is at work here, and keep others away; the lock's file is what children inherit."""
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                LOGGER.info("waiting for another run of this command, or for what a killed one has left at work")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock.fileno()

    def collect(self, name: str = "*") -> None:
        """Bring home what clones have finished, all of them or the one of this name, and remove them."""
        for clone in sorted(self._clones.glob(name)):
            try:
                references = self._references(clone, clone.name)
            except ArtifactError:  # killed while it was being made
                references = {}
            for reference in references:
                git("fetch", "--quiet", "--no-tags", str(clone), f"+{reference}:{reference}", folder=self._root)
            shutil.rmtree(clone, ignore_errors=True)

    def start(self, name: str, overrides: Sequence[str], lock: int) -> Job:
        """Start the experiment in a new clone of what is in git here, as it stands in the checkout."""
        for reference in self._references(self._root, name):  # of which something is lost, else it would be done
            git("update-ref", "-d", reference, folder=self._root)
        clone = self._clone(name)
        log = self.log_of(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        words = [word for text in overrides for word in ("-S", text)]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "dvc", "exp", "run", "--name", name, *words],
                cwd=clone,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that it can be stopped with all that it has started
                pass_fds=(lock,),  # so that it is waited for if this process is killed
            )
        return Job(name, process, log, time.monotonic())

    def log_of(self, name: str) -> Path:
        """Where an experiment's output is."""
        return self.state / "logs" / f"{name}.log"

    def _clone(self, name: str) -> Path:
        clone = self._clones / name
        shutil.rmtree(clone, ignore_errors=True)
        clone.parent.mkdir(parents=True, exist_ok=True)
        git("clone", "--quiet", "--shared", "--no-checkout", str(self._root), str(clone))
        head, changed = self._snapshot
        git("checkout", "--quiet", "--detach", head, folder=clone)
        if changed:
            git("restore", "--source", changed, "--staged", "--worktree", "--", ":/", folder=clone)
        self._configure(clone)
        return clone

    @cached_property
    def _snapshot(self) -> tuple[str, str]:
        """HEAD, and a commit of what has changed since: the same for all runs, whatever happens to the checkout."""
        identity = ("-c", "user.name=llara", "-c", "user.email=llara@localhost")
        # `stash create` only makes a commit, to which no name leads; empty where nothing has changed.
        changed = git(*identity, "stash", "create", folder=self._root)
        return git("rev-parse", "HEAD", folder=self._root), changed

    def _configure(self, clone: Path) -> None:
        """Give a clone the user's settings and this repository's cache."""
        from dvc.config import Config

        local = self._root / ".dvc" / "config.local"
        if local.is_file():
            shutil.copyfile(local, clone / ".dvc" / local.name)
        with Config(str(clone / ".dvc"), validate=False).edit("local") as settings:
            settings.setdefault("cache", {})["dir"] = str(self._cache)
            settings.setdefault("core", {})["site_cache_dir"] = str(clone / ".dvc" / "tmp" / "site")
        for key, otherwise in (("user.name", "llara"), ("user.email", "llara@localhost")):
            git("config", key, git("config", "--default", otherwise, "--get", key, folder=self._root), folder=clone)

    @cached_property
    def _environment(self) -> dict[str, str]:
        """This process's, in which stages find converted models, checkpoints and raw files where they are."""
        found = dict(os.environ)
        found["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{found.get('PATH', '')}"
        found["LLARA_CACHE"] = str(cache_directory().resolve())
        found["LLARA_CHECKPOINT_DIR"] = str(checkpoint_directory().resolve())
        if "LLARA_RAW_DIR" in found:
            found["LLARA_RAW_DIR"] = str(Path(found["LLARA_RAW_DIR"]).resolve())
        for name in ("DVC_ROOT", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            found.pop(name, None)
        return found

    def _references(self, folder: Path, name: str) -> dict[str, str]:
        """References of the experiments of this name, and their commits."""
        # By its own name: git would take a folder that is no repository for a part of the one around it.
        words = ("for-each-ref", "--format=%(refname) %(objectname)", f"refs/exps/*/*/{name}")
        lines = git("--git-dir", str(folder / ".git"), *words)
        return dict(line.split(" ") for line in lines.splitlines())


def last_lines(log: Path, count: int = 5) -> list[str]:
    """Return the last lines of a log that say something."""
    with log.open(encoding="utf-8", errors="replace") as file:
        return _tail(file, count)


def _tail(file: IO[str], count: int) -> list[str]:
    # A progress bar rewrites its line after a carriage return: its last state is what counts.
    lines = [line.rstrip("\n").rsplit("\r", 1)[-1].strip() for line in file]
    return [line for line in lines if line][-count:]
