"""Where an export goes: a folder that isn't there yet, or one of ours that may be replaced."""

import json
from pathlib import Path

from llara_core.errors import ArtifactError
from llara_core.runtime.seal import SEAL, require_seal

FORMAT = "llara-export/1"
ABOUT = "llara.json"


def check_destination(folder: Path, *, force: bool) -> None:
    """Refuse a destination at which something stands that an export may not replace.

    Raises:
        ArtifactError: it is there and `force` isn't given; or it isn't an export as it was written, so that other
            people's files would be lost; or its parent is no folder.
    """
    for parent in folder.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise ArtifactError(f"{folder}: must lie in a folder, {parent} is a file")
            break
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise ArtifactError(f"{folder}: must be the name of a folder, and something else stands there")
    if not _is_export(folder):
        raise ArtifactError(f"{folder}: must not be there yet, and is no export that --force could replace")
    if not force:
        raise ArtifactError(f"{folder}: must not be there yet; --force replaces this earlier export")
    if others := sorted(path.name for path in folder.iterdir() if path.is_symlink() or not path.is_file()):
        raise ArtifactError(f"{folder / others[0]}: must not be there, for no export wrote it; move it away")
    require_seal(folder, "move away what is yours, or choose another folder")


def _is_export(folder: Path) -> bool:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return (folder / SEAL).is_file() and isinstance(about, dict) and about.get("format") == FORMAT
