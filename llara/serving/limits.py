"""What a client may send: how much, how fast, how often; and what a browser may do with the page."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from time import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llara.serving.refusing import refusal

MAX_BODY = 256 * 1024  # bytes: the longest history and candidates that the schema allows, in a language of 3 bytes each
_DRAINED = 16 * 1024 * 1024  # bytes read on beyond that, so that a client that is still sending hears why
_BODY_SECONDS = 20.0
_PORT = re.compile(r":\d*$")
_HEADERS = {
    # All is in the package: a page that was led to load or run anything else would not.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


@dataclass(frozen=True)
class Limits:
    """What one server takes on.

    Attributes:
        rate: requests of the API a minute from one address; 0: no limit.
        waiting: requests that may wait for the model.
        together: requests that the model reads together.
        seconds: a request may wait and be answered in.
    """

    rate: int
    waiting: int
    together: int
    seconds: float


class SafeHeaders:
    """Puts headers into every response that keep a browser from loading or running what isn't the page's."""

    def __init__(self, app: ASGIApp) -> None:
        """Take what answers."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, sending)


class OwnNames:
    """Answers 400 where the server is called by another name than its own."""

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        """Take what answers, and its names; `*`: any."""
        self._app, self._names = app, {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        name = _PORT.sub("", Headers(scope=scope).get("host", "")).lower()
        if self._names & {"*", name}:
            await self._app(scope, receive, send)
        else:
            await refusal(400, "RequestError", "this server has other names than the one of Host")(scope, receive, send)


class RateLimit:
    """Answers 429 where one address asks the API too often."""

    def __init__(self, app: ASGIApp, per_minute: int) -> None:
        """Take what answers, and how often it does; 0: always."""
        self._app = app
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if self._item is not None and scope["type"] == "http" and scope["path"].startswith("/v1/"):
            address = (scope.get("client") or ("",))[0]
            if not await self._limiter.hit(self._item, address):
                await self._refuse(self._item, address, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refuse(
        self, item: RateLimitItemPerMinute, address: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        window = await self._limiter.get_window_stats(item, address)
        wait = max(1, ceil(window.reset_time - time()))
        message = f"one address may ask {item.amount} times a minute; ask again in {wait} s"
        await refusal(429, "RateError", message, {"retry-after": str(wait)})(scope, receive, send)


class BodyLimit:
    """Reads a request's body before the application does; answers 413 or 408 where it is too long, or too slow."""

    def __init__(self, app: ASGIApp, n_bytes: int = MAX_BODY, seconds: float = _BODY_SECONDS) -> None:
        """Take what answers."""
        self._app, self._n_bytes, self._seconds = app, n_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on whole, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._read(scope, receive), self._seconds)
        except TimeoutError:
            message = f"a request must be sent within {self._seconds:g} s"
            await refusal(408, "RequestError", message, {"connection": "close"})(scope, receive, send)
            return
        if body is None:
            message = f"a request must have ≤ {self._n_bytes} bytes"
            await refusal(413, "RequestError", message, {"connection": "close"})(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body; None if it is too long."""
        declared = Headers(scope=scope).get("content-length", "0")
        if int(declared) > _DRAINED:  # the server has checked that it is a number
            return None
        parts, size, more = [], 0, True
        while more and size <= _DRAINED:
            message = await receive()
            part = message.get("body", b"")
            size += len(part)
            if size <= self._n_bytes:
                parts.append(part)
            more = message["type"] == "http.request" and message.get("more_body", False)
        return b"".join(parts) if size <= self._n_bytes else None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a body again that was read, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
