"""Answers that have been paid for, kept so that none is asked for twice.

A file for each model and way of asking, JSON lines: the first says which, each other holds one answer under the digest
of settings and prompt. Lines are only ever added, each in one write that is on the disk before the next request. What a
kill or a full disk leaves of a line is cut off.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Self

from filelock import FileLock, Timeout
from pydantic import ValidationError

from llara_core.errors import ArtifactError, RequestError
from llara_core.outside_judge.replies import Reply
from llara_core.outside_judge.settings import Settings
from llara_core.runtime.files import state_directory
from llara_core.runtime.logs import LOGGER

_VERSION = 1


def answers_directory() -> Path:
    """Folder of stored answers: `.llara/answers`, which no stage removes."""
    return state_directory() / "answers"


class AnswerStore:
    """The answers of one model, asked in one way."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Read what is stored in `folder`; a file is made when there is an answer to be stored.

        Raises:
            ArtifactError: the file holds answers of others.
        """
        self.path = folder / f"{settings.row}-{settings.digest[:16]}.jsonl"
        self._settings, self._lock = settings, Lock()
        self._replies: dict[str, Reply] = {}
        if self.path.is_file():
            self._replies = self._read()

    def __len__(self) -> int:
        """Return how many answers there are."""
        return len(self._replies)

    def get(self, prompt: str) -> Reply | None:
        """Return the answer to a prompt, if there is one."""
        return self._replies.get(self._settings.key_of(prompt))

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Keep other processes away while answers are added.

        Raises:
            RequestError: one is adding answers already.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path.with_suffix(".lock"), timeout=0):
                self._replies = self._read() if self.path.is_file() else {}  # another may have added some meanwhile
                self._cut_torn_line()
                yield self
        except Timeout as error:
            raise RequestError(f"{self.path}: another run is asking the same model; wait for it, or end it") from error

    def add(self, prompt: str, reply: Reply) -> None:
        """Store an answer, from any thread.

        Raises:
            OSError: it can't be written; nothing of it is left.
        """
        key = self._settings.key_of(prompt)
        with self._lock:
            if not self.path.is_file():
                self._append({"version": _VERSION, "settings": self._settings.model_dump()})
            self._append({"key": key, **reply.model_dump()})
            self._replies[key] = reply

    def _append(self, content: dict[str, Any]) -> None:
        line = (json.dumps(content, ensure_ascii=False) + "\n").encode("utf-8", errors="replace")
        with self.path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise

    def _read(self) -> dict[str, Reply]:
        lines = _whole_lines(self.path)
        if not lines:
            return {}  # killed before it had a first line
        head, *rest = lines
        expected = {"version": _VERSION, "settings": self._settings.model_dump()}
        if _parse(head) != expected:
            raise ArtifactError(
                f"{self.path}: its first line must be the settings of its answers, "
                f"{json.dumps(expected['settings'])}, got {head[:200].decode(errors='replace')!r}; move the file away"
            )
        replies, damaged = {}, 0
        for line in rest:
            entry = _parse(line)
            try:
                key = str(entry.pop("key"))
                replies[key] = Reply.model_validate(entry)
            except (KeyError, ValidationError):
                damaged += 1
        if damaged:
            LOGGER.warning("%s: %d damaged lines, which are asked again", self.path, damaged)
        return replies

    def _cut_torn_line(self) -> None:
        if not self.path.is_file():
            return
        whole = sum(len(line) + 1 for line in _whole_lines(self.path))
        if torn := self.path.stat().st_size - whole:
            LOGGER.warning("%s: cut off the last %d bytes, of an answer that wasn't stored whole", self.path, torn)
            os.truncate(self.path, whole)
        if not whole:
            self.path.unlink()


def other_ways(folder: Path, settings: Settings) -> list[str]:
    """Say which stored answers of the same model were asked for in another way, and so don't count."""
    said = []
    for path in sorted(folder.glob("*.jsonl")):
        head, *rest = _whole_lines(path) or [b""]
        found = _parse(head).get("settings")
        wanted = settings.model_dump()
        if isinstance(found, dict) and found != wanted and found.get("model") == settings.model:
            differing = (f"{name} {found.get(name)!r}" for name in wanted if found.get(name) != wanted[name])
            said.append(f"{path}: {len(rest)} stored answers were asked for with {', '.join(differing)}: not used here")
    return said


def _whole_lines(path: Path) -> list[bytes]:
    """All lines that end."""
    return path.read_bytes().split(b"\n")[:-1]


def _parse(line: bytes) -> dict[str, Any]:
    """Read a line; empty if it is none of ours."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
