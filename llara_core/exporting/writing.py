"""Errors of the libraries that write models, in words: a full disk has as many names as there are libraries."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llara_core.errors import LlaraError

_SYSTEM = re.compile(r"(.+?) ?\(os error \d+\)")


@contextmanager
def explained_failures(folder: Path) -> Iterator[None]:
    """Turn what the system refuses while `folder` is written into an error of one line.

    tokenizers and safetensors carry the system's message in exceptions of their own, of the plainest kind.

    Raises:
        LlaraError: the disk is full, a file too large, or the folder not to be written to.
    """
    try:
        yield
    except OSError as error:
        raise LlaraError(
            f"{folder}: can't be written: {error.strerror or error}; nothing half-written is left"
        ) from error
    except Exception as error:
        if found := _SYSTEM.search(str(error)):
            reason = found[1].rpartition(": ")[2]
            raise LlaraError(f"{folder}: can't be written: {reason}; nothing half-written is left") from error
        raise
