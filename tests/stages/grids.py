"""The command `experiments` on repositories of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

_GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")


@dataclass(frozen=True)
class Repository:
    """A repository of git and DVC, and the command in it; its code wins over this checkout's."""

    folder: Path
    extra: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return (
            os.environ | {"PATH": path, "COLUMNS": "200", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | self.extra
        )

    def run(self, *arguments: str, status: int = 0) -> str:
        """Return all that the command prints."""
        return self.call("stages.experiments", *arguments, status=status)

    def call(self, module: str, *arguments: str, status: int = 0) -> str:
        """Return all that a module prints."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command, and go on."""
        return subprocess.Popen(
            [sys.executable, "-m", "stages.experiments", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def git(self, *words: str) -> str:
        done = subprocess.run([*_GIT, *words], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "change")

    def experiments(self) -> dict[str, str]:
        """Commits of all experiments, by name."""
        shown = self.git("for-each-ref", "--format=%(refname:lstrip=4) %(objectname)", "refs/exps/*/*/*")
        return dict(line.split(" ") for line in shown.splitlines())

    @property
    def state(self) -> Path:
        return self.folder / ".llara" / "experiments"

    def clones(self) -> list[str]:
        return sorted(path.name for path in self.state.glob("checkouts/*"))


def wait_until(happened: Callable[[], object], process: subprocess.Popen[bytes], seconds: float = 240) -> None:
    """Wait for what a process should bring about before it ends."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
