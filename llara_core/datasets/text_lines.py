"""Finding and naming the line of a text file that a fast parser stumbled over."""

from collections.abc import Callable, Iterator
from pathlib import Path

from llara_core.errors import DataError


def existing(path: Path) -> Path:
    """Return `path`.

    Raises:
        DataError: there is no such file, or it is empty.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; run `dvc repro fetch`")
    if not path.stat().st_size:
        raise DataError(f"{path}: must not be empty")
    return path


def lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield line numbers from 1 and lines without their ends."""
    with path.open(encoding=encoding, newline="\n", errors="replace") as file:
        yield from ((number, line.rstrip("\r\n")) for number, line in enumerate(file, start=1))


def malformed_line(
    path: Path, encoding: str, is_well_formed: Callable[[str], bool], expected: str, cause: Exception
) -> DataError:
    """Return an error that names the first line that isn't well formed; only the error path pays for the search."""
    for number, line in lines(path, encoding):
        if not is_well_formed(line):
            return DataError(f"{path}: line {number}: must be {expected}; got {line[:80]!r}")
    return DataError(f"{path}: must be {expected}: {cause}")


def is_number(text: str) -> bool:
    """Whether `text` is a decimal number, perhaps negative or with a point."""
    return text.strip().removeprefix("-").replace(".", "", 1).isdecimal()
