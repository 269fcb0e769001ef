"""dvc.yaml's stages for given params: what each of them depends on, and by which digest."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any

from llara_core.errors import ParamsError

_REFERENCE = re.compile(r"(?<!\\)\$\{([^}]+)\}")


@dataclass(frozen=True)
class Stage:
    """A stage for one set of params.

    Attributes:
        name: as in dvc.yaml.
        command: what it runs.
        params: the values that it depends on, by dotted name.
        code: paths in git that it depends on.
        reads: the outputs of other stages that it depends on.
        outs: what it writes, metrics too.
    """

    name: str
    command: str
    params: dict[str, Any]
    code: tuple[str, ...]
    reads: tuple[str, ...]
    outs: tuple[str, ...]


def stages_of(pipeline: Mapping[str, Any], params: Mapping[str, Any]) -> list[Stage]:
    """Resolve the content of dvc.yaml with that of params.yaml.

    Stages stand in its order, but for one whose outputs an earlier one reads.

    Raises:
        ParamsError: a stage depends on a param that isn't there.
    """
    entries = pipeline["stages"]
    outs = {name: tuple(_paths(entry)) for name, entry in entries.items()}
    waiting = {name: _resolve(name, entry, params, outs) for name, entry in entries.items()}
    ordered: list[Stage] = []
    while waiting:
        unwritten = {out for name in waiting for out in outs[name]}
        ready = next((stage for stage in waiting.values() if not unwritten.intersection(stage.reads)), None)
        if ready is None:
            raise ParamsError(f"dvc.yaml: stages must not wait for each other, got {', '.join(waiting)}")
        ordered.append(waiting.pop(ready.name))
    return ordered


def _resolve(
    name: str, entry: Mapping[str, Any], params: Mapping[str, Any], outs: Mapping[str, Sequence[str]]
) -> Stage:
    def value_of(dotted: str) -> Any:
        value: Any = params
        for key in dotted.split("."):
            if not isinstance(value, Mapping) or key not in value:
                raise ParamsError(f"dvc.yaml: stage {name} depends on params.yaml's {dotted}, which isn't there")
            value = value[key]
        return value

    def fill(text: str) -> str:
        return _REFERENCE.sub(lambda found: str(value_of(found[1])), text).replace(r"\${", "${")

    written = {path for paths in outs.values() for path in paths}
    deps = [fill(dep) for dep in entry.get("deps", [])]
    names = [fill(param) for param in entry.get("params", [])]
    return Stage(
        name,
        fill(entry["cmd"]),
        {param: value_of(param) for param in names},
        tuple(dep for dep in deps if dep not in written),
        tuple(dep for dep in deps if dep in written),
        tuple(outs[name]),
    )


def _paths(entry: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("outs", "metrics", "plots"):
        for out in entry.get(kind, []):
            yield out if isinstance(out, str) else next(iter(out))


def code_digests(stages: Sequence[Stage], tracked: Callable[[str], Sequence[str]], root: Path) -> dict[str, str]:
    """MD5 of each path of code that a stage depends on, as dvc.lock writes it.

    Args:
        stages: all of them.
        tracked: the files in git at or below a path.
        root: of the repository.

    Raises:
        ParamsError: there is nothing at a path.
    """
    return {path: _digest(root, path, tracked(path)) for stage in stages for path in stage.code}


def _digest(root: Path, path: str, files: Sequence[str]) -> str:
    if not files:
        raise ParamsError(f"dvc.yaml: {path} must be in git, got nothing there; `git add` it")
    if list(files) == [path]:
        return _md5((root / path).read_bytes())
    # A folder's digest is that of the list of its files, as DVC's cache has it.
    entries = [
        {"md5": _md5((root / file).read_bytes()), "relpath": PurePosixPath(file).relative_to(path).as_posix()}
        for file in files
    ]
    entries.sort(key=itemgetter("relpath"))
    return _md5(json.dumps(entries, sort_keys=True).encode()) + ".dir"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def signatures(stages: Sequence[Stage], code: Mapping[str, str]) -> dict[str, str]:
    """Digest of all that each of a run's stages depends on, with all that the stages before it depend on."""
    found: dict[str, str] = {}
    writers = {out: stage.name for stage in stages for out in stage.outs}
    for stage in stages:
        content = {
            "command": stage.command,
            "params": stage.params,
            "code": {path: code[path] for path in stage.code},
            "reads": {path: found[writers[path]] for path in stage.reads},
        }
        found[stage.name] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return found
