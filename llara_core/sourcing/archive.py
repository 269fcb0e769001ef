"""Taking one member out of a zip; no path inside the archive is ever used for writing."""

import shutil
import zipfile
from pathlib import Path

from llara_core.errors import SourceError


def extract_member(archive: Path, member: str, destination: Path) -> None:
    """Write the bytes of `member` to `destination`.

    Raises:
        SourceError: the archive is broken or lacks the member.

    """
    try:
        with zipfile.ZipFile(archive) as file, file.open(member) as content, destination.open("wb") as out:
            shutil.copyfileobj(content, out)
    except KeyError as error:
        raise SourceError(f"{archive.name}: must hold {member}, which is not in it") from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{archive.name}: not a complete zip archive ({error})") from error
