"""Parsing the lines of a gz file in parallel processes, in order, with bounded memory."""

import gzip
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from llara_core.datasets.text_lines import existing
from llara_core.errors import DataError

_BLOCK = 8 << 20
_MOST_EXPANSION = 200  # text shrinks five to twenty times; what shrinks more is no log

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


def _progress(path: Path) -> tqdm:
    return tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=path.name)
