"""What DVC remembers of stages that have run: entries of its run cache and of dvc.lock, which have one form."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from llara_core.experiments.pipeline import Stage


@dataclass(frozen=True)
class Record:
    """One run of a stage: its command, the params and digests that it had, and the digests of what it wrote."""

    command: str
    params: dict[str, Any]
    deps: dict[str, str]
    outs: dict[str, str]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Self:
        """Read an entry of dvc.lock."""
        params = {name: value for file in entry.get("params", {}).values() for name, value in file.items()}
        digests = [{item["path"]: item.get("md5", "") for item in entry.get(kind, [])} for kind in ("deps", "outs")]
        return cls(entry["cmd"], params, *digests)


class Cache:
    """DVC's cache of files, and its run cache beside it; both are only read."""

    def __init__(self, folder: Path) -> None:
        """Read below `folder`."""
        self._folder = folder

    def holds(self, digest: str) -> bool:
        """Whether the file, or the folder with all its files, is there."""
        path = self._path(digest)
        if not digest or not path.is_file():
            return False
        if not digest.endswith(".dir"):
            return True
        return all(self._path(entry["md5"]).is_file() for entry in json.loads(path.read_text(encoding="utf-8")))

    def read(self, digest: str) -> bytes | None:
        """Content of a file; None where it isn't there."""
        path = self._path(digest)
        return path.read_bytes() if digest and path.is_file() else None

    def records(self) -> list[Record]:
        """All runs of stages whose every output is there, the latest first, which is the one that DVC takes."""
        paths = sorted(self._folder.glob("runs/*/*/*"), key=lambda path: path.stat().st_mtime, reverse=True)
        found = [Record.of(entry) for path in paths if (entry := _read(path))]
        return [record for record in found if all(map(self.holds, record.outs.values()))]

    def _path(self, digest: str) -> Path:
        return self._folder / "files" / "md5" / digest[:2] / digest[2:]


def _read(path: Path) -> dict[str, Any] | None:
    """Read an entry, unless DVC is just writing or removing it."""
    try:
        entry = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError):
        return None
    return entry if isinstance(entry, dict) and "cmd" in entry else None


def recorded_stages(stages: Sequence[Stage], code: Mapping[str, str], records: Iterable[Record]) -> dict[str, Record]:
    """Find the stages of a run, in order, that have run before with the same command, params, code and inputs.

    A stage that reads what isn't known has no record: what it would read isn't known either.

    Args:
        stages: of the run, each after those whose outputs it reads.
        code: digests of its code.
        records: the first one that fits counts.
    """
    by_command: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_command[record.command].append(record)
    written: dict[str, str] = {}
    found: dict[str, Record] = {}
    for stage in stages:
        if not all(path in written for path in stage.reads):
            continue
        deps = {path: code[path] for path in stage.code} | {path: written[path] for path in stage.reads}
        for record in by_command[stage.command]:
            if record.params == stage.params and record.deps == deps and set(record.outs) == set(stage.outs):
                found[stage.name] = record
                written |= record.outs
                break
    return found
