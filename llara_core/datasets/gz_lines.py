"""Parsing the lines of a gz file in parallel processes, in order, with bounded memory."""

import gzip
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from llara_core.datasets.text_lines import existing
from llara_core.errors import DataError
from llara_core.runtime.logs import LOGGER

_BLOCK = 8 << 20
_MOST_EXPANSION = 200  # text shrinks five to twenty times; what shrinks more is no log

SHOWN_LINES = 10
_MOST_UNREADABLE = 0.001

Result = TypeVar("Result")


def map_blocks(path: Path, parse: Callable[[bytes], Result]) -> Iterator[Result]:
    """Yield `parse(block)` for blocks of whole lines, in the file's order.

    The file is decompressed here and parsed in one process per core, a few blocks ahead.

    Raises:
        DataError: the file is missing, truncated, no gz file, or expands beyond all reason.
    """
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        for block in read_blocks(path):
            waiting.append(pool.submit(parse, block))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the decompressed file in blocks of about 8 MiB that end at line ends."""
    limit = _MOST_EXPANSION * existing(path).stat().st_size + _BLOCK
    rest, total = b"", 0
    try:
        with path.open("rb") as raw, gzip.open(raw) as file, _progress(path) as bar:
            while block := file.read(_BLOCK):
                total += len(block)
                if total > limit:
                    raise DataError(f"{path}: must expand at most {_MOST_EXPANSION}-fold, got more: not read further")
                bar.update(raw.tell() - bar.n)
                whole, newline, tail = (rest + block).rpartition(b"\n")
                rest = tail
                if newline:
                    yield whole
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: must be a complete gz file: {error}") from error
    if rest:
        yield rest


def report_unreadable(path: Path, what: str, shown: Iterable[str], n_unreadable: int, n_lines: int) -> None:
    """Show the first of the lines that are no `what`.

    Raises:
        DataError: they are more than 0.1 % of all lines.
    """
    first = "; ".join(map(repr, islice(shown, SHOWN_LINES)))
    if n_unreadable > _MOST_UNREADABLE * n_lines:
        raise DataError(
            f"{path}: at most {_MOST_UNREADABLE:.1%} of lines may be no {what}, got {n_unreadable} of {n_lines}, "
            f"such as {first}"
        )
    if n_unreadable:
        LOGGER.warning("%s: %d of %d lines are no %s and are left out: %s", path, n_unreadable, n_lines, what, first)


def _progress(path: Path) -> tqdm:
    return tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=path.name)
