"""The SHA-256 sums that were recorded, on trust, of files whose publishers give none."""

import json
import re
from pathlib import Path

from llara_core.errors import SourceError
from llara_core.runtime.files import write_json

_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_recorded(path: Path) -> dict[str, str]:
    """Return the sums in `path` by `dataset/file name`; none if there is no such file.

    Raises:
        SourceError: something else stands there.
    """
    if not path.is_file():
        return {}
    try:
        sums = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceError(f"{path}: must be JSON: {error}") from error
    if not isinstance(sums, dict):
        raise SourceError(f"{path}: must be a map of files to SHA-256, got {type(sums).__name__}")
    for name, digest in sums.items():
        if not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
            raise SourceError(f"{path}: {name} must be a SHA-256 of 64 hexadecimal digits, got {digest!r}")
    return sums


def record(path: Path, sums: dict[str, str]) -> None:
    """Add `sums` to those in `path`."""
    write_json(path, read_recorded(path) | sums)
