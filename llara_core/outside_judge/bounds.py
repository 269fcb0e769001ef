"""A reply that is read no further and no longer than a reply may be, whatever its status: errors have bodies too."""

import time
from collections.abc import Iterator

import httpx2 as httpx

from llara_core.outside_judge.replies import require_short

_END = "llara.end"


class Bounds:
    """Hooks of a client, on what is sent and on what comes back."""

    def __init__(self, seconds: float, n_bytes: int) -> None:
        """Take how long a request may take, and how many bytes a reply may have on its way."""
        self._seconds, self._n_bytes = seconds, n_bytes

    def begin(self, request: httpx.Request) -> None:
        """Note when a request has to be over: the client's own limit is of each wait for a block."""
        request.extensions[_END] = time.monotonic() + self._seconds

    def bound(self, response: httpx.Response) -> None:
        """Have the body read within bounds."""
        stream = response.stream
        if isinstance(stream, httpx.SyncByteStream):
            response.stream = _Bounded(stream, response.request.extensions[_END], self._n_bytes)


class _Bounded(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, end: float, n_bytes: int) -> None:
        self._stream, self._end, self._n_bytes = stream, end, n_bytes

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for block in self._stream:
            size += len(block)
            require_short(size, self._n_bytes)
            if time.monotonic() > self._end:
                raise httpx.ReadTimeout("a reply in drops")
            yield block

    def close(self) -> None:
        self._stream.close()
