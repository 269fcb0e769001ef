"""Taking one member out of a zip; no path inside the archive is ever used for writing."""

import shutil
import zipfile
from pathlib import Path

from llara_core.errors import SourceError

_MOST_EXPANSION = 200
_SMALL = 1 << 24


def extract_member(archive: Path, member: str, destination: Path) -> None:
    """Write the bytes of `member` to `destination`.

    Raises:
        SourceError: the archive is broken, lacks the member, or the member expands beyond all reason.
    """
    try:
        with zipfile.ZipFile(archive) as file, destination.open("wb") as out:
            entry = file.getinfo(member)
            if entry.file_size > _MOST_EXPANSION * entry.compress_size + _SMALL:
                raise SourceError(
                    f"{archive.name}: {member} must expand at most {_MOST_EXPANSION}-fold, got {entry.file_size} bytes "
                    f"out of {entry.compress_size}: not read"
                )
            with file.open(entry) as content:
                shutil.copyfileobj(content, out)  # zipfile stops at the size that the entry promises
    except KeyError as error:
        raise SourceError(f"{archive.name}: must hold {member}, which is not in it") from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{archive.name}: not a complete zip archive ({error})") from error
