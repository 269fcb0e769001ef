"""Where state lives on disk, and writing that leaves either the whole artifact or nothing."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def state_directory() -> Path:
    """Folder of everything that outlives a stage but is no artifact.

    `dvc exp run --temp` works in a throw-away checkout but sets DVC_ROOT to the user's repository.
    """
    return Path(os.environ.get("DVC_ROOT", ".")) / ".llara"


def cache_directory() -> Path:
    """Folder of converted base LLMs: `$LLARA_CACHE`, else `.llara/cache`."""
    return Path(os.environ.get("LLARA_CACHE") or state_directory() / "cache")


def checkpoint_directory() -> Path:
    """Folder of training checkpoints: `$LLARA_CHECKPOINT_DIR`, else `.llara/checkpoints`."""
    return Path(os.environ.get("LLARA_CHECKPOINT_DIR") or state_directory() / "checkpoints")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that replaces it when the block succeeds and vanishes when it fails."""
    _make_room(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder that replaces `path` when the block succeeds and vanishes when it fails."""
    _make_room(path)
    temporary, aside = (
        Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)) for _ in range(2)
    )
    try:
        yield temporary
        temporary.chmod(0o755)
        old = path.rename(aside / path.name) if path.exists() else None
        try:
            temporary.rename(path)
        except OSError:
            if old is not None:
                old.rename(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def _make_room(path: Path) -> None:
    """Make the parent folder, and remove what a killed process left there; DVC lets one process at a time write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}\.tmp")  # mkdtemp's; `.name.more.….tmp` is another's
    for leftover in [entry for entry in path.parent.iterdir() if ours.fullmatch(entry.name)]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as sorted, indented JSON, every float such that reading gives it back."""
    with atomic_file(path) as temporary:
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write `metrics` as `write_json` does, with six decimals, so that reruns compare equal."""
    write_json(path, _rounded(metrics))


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return round(value, 6) if isinstance(value, float) else value


def sha256_of_folder(folder: Path) -> str:
    """Hexadecimal SHA-256 of the names and bytes of the files right in `folder`."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{path.name}\0{sha256_of(path)}\0".encode())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
