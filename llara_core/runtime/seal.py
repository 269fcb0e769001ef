"""A folder's files tied together by a list of their digests, so that one exchanged for another run's is noticed."""

import json
from pathlib import Path

from llara_core.errors import ArtifactError
from llara_core.runtime.files import sha256_of, write_json

SEAL = "sha256.json"


def seal(folder: Path) -> None:
    """List the SHA-256 of every file right in `folder` in its sha256.json."""
    write_json(folder / SEAL, _digests(folder))


def require_seal(folder: Path, remedy: str = "run `dvc repro`") -> None:
    """Refuse a folder whose files aren't those that were sealed; `remedy` says what the user can do.

    Raises:
        ArtifactError: naming the first file that is missing, was changed, or has been put there since.
    """
    path = folder / SEAL
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; {remedy}")
    try:
        sealed = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path}: must list the digests of the files beside it: {error}") from error
    if not isinstance(sealed, dict):
        raise ArtifactError(f"{path}: must list the digests of the files beside it, got {type(sealed).__name__}")
    found = _digests(folder)
    for name in sorted(sealed.keys() | found.keys()):
        if name not in found:
            raise ArtifactError(f"{folder / name}: no such file, but {SEAL} lists it; {remedy}")
        if name not in sealed:
            raise ArtifactError(f"{folder / name}: must not be there, for {SEAL} doesn't list it; {remedy}")
        if sealed[name] != found[name]:
            raise ArtifactError(
                f"{folder / name}: must be the file that was written with the others (SHA-256 "
                f"{str(sealed[name])[:12]}… in {SEAL}), got {found[name][:12]}…; {remedy}"
            )


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != SEAL}
