"""One request to an endpoint by the official client: an answer, or why there is none and whether to ask again."""

import os
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from llara_core.errors import EndpointError
from llara_core.outside_judge.replies import (
    CONTENT_FILTER,
    MOST_BYTES,
    Reply,
    UnusableReply,
    one_line,
    read_reply,
    require_short,
)
from llara_core.outside_judge.settings import LimitField, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import APIStatusError, OpenAI

_BUSY, _TOO_MANY = (408, 409, 425), 429
_OUT_OF_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_SHORTEST_SECRET = 12  # characters; shorter ones are what local servers are given, and may be a word of a title
_INSTALL = "the package openai isn't installed; run `pip install -c constraints.txt -e '.[api]'`"


class Unanswered(Exception):  # noqa: N818 — it is what became of a request
    """A request that brought no answer.

    Attributes:
        may_help: whether asking again may.
        wait: seconds that the endpoint asks to wait before that.
        is_limit: the endpoint wants fewer requests for now.
        may_cost: whether the endpoint may have written an answer, and so charge for it.
    """

    def __init__(
        self, words: str, *, may_help: bool, wait: float = 0.0, is_limit: bool = False, may_cost: bool = True
    ) -> None:
        """Take words that hold no secret."""
        super().__init__(words)
        self.may_help, self.wait, self.is_limit, self.may_cost = may_help, wait, is_limit, may_cost


class Endpoint:
    """Sends prompts, with a key that leaves it in no other way.

    Redirections are not followed: prompts and key go where the user has said, and nowhere else.
    """

    def __init__(self, settings: Settings, key_name: str, timeout: float, limit_field: LimitField) -> None:
        """Take the key from the environment's variable of this name, and seconds that a request may take.

        Raises:
            EndpointError: there is no usable key, or no client.
        """
        self._key = _read_key(key_name)
        try:
            import httpx2
            import openai

            from llara_core.outside_judge.bounds import Bounds
        except ImportError as error:
            raise EndpointError(_INSTALL) from error
        self._httpx, self._openai = httpx2, openai
        # Without encryption it goes to a machine nearby, and so past a proxy that the environment names.
        is_plain = settings.base_url.startswith("http:")
        bounds = Bounds(timeout, MOST_BYTES)
        hooks: Any = {"request": [bounds.begin], "response": [bounds.bound]}
        transport = openai.DefaultHttpxClient(follow_redirects=False, trust_env=not is_plain, event_hooks=hooks)
        # Asking again is `ask_patiently`'s: the client's own would neither count requests nor mend what was cut.
        self._client: OpenAI = openai.OpenAI(
            api_key=self._key, base_url=settings.base_url, timeout=timeout, max_retries=0, http_client=transport
        )
        self._settings, self._key_name, self._timeout, self._limit_field = settings, key_name, timeout, limit_field

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def hide(self, text: str) -> str:
        """Take the key out of a text: before it is shortened, for of a key that is cut a part would be left."""
        return text.replace(self._key, "…") if len(self._key) >= _SHORTEST_SECRET else text

    def ask(self, prompt: str) -> Reply:
        """Send one prompt.

        Raises:
            Unanswered: no answer came.
        """
        openai, httpx = self._openai, self._httpx
        try:
            body, content_type = self._send(prompt)
            return read_reply(body, content_type, self.hide)
        except UnusableReply as error:
            raise Unanswered(str(error), may_help=True) from None
        except openai.APIStatusError as error:
            if error.status_code == 400 and error.code == CONTENT_FILTER:  # as Azure puts it: an answer too
                return Reply(answer="", finish=CONTENT_FILTER, prompt_tokens=None, reply_tokens=None, model=None)
            raise self._refused(error) from None
        except (openai.APITimeoutError, httpx.TimeoutException):
            raise Unanswered(f"no reply within {self._timeout:g} s", may_help=True) from None
        except openai.APIConnectionError as error:
            reached = not isinstance(error.__cause__, httpx.ConnectError)
            words = one_line(self.hide(str(error.__cause__ or error)))
            how = "the connection broke" if reached else f"{self._settings.base_url} can't be reached"
            raise Unanswered(f"{how}: {words}", may_help=True, may_cost=reached) from None
        except httpx.HTTPError as error:
            raise Unanswered(f"the reply was cut: {one_line(self.hide(str(error)))}", may_help=True) from None

    def _send(self, prompt: str) -> tuple[bytes, str]:
        """Return the body of the reply and its type."""
        settings: Any = self._settings
        limit: dict[str, Any] = {self._limit_field: settings.reply_tokens}
        with self._client.chat.completions.with_streaming_response.create(
            model=settings.model, messages=settings.messages(prompt), temperature=settings.temperature, **limit
        ) as response:
            body = bytearray()
            for block in response.iter_bytes():
                body += block
                require_short(len(body), MOST_BYTES)  # unpacked too
            return bytes(body), response.headers.get("content-type", "")

    def _refused(self, error: "APIStatusError") -> Unanswered:
        """Say what a status means."""
        status, code = error.status_code, error.code or error.type
        words = f"HTTP {status}: {one_line(self.hide(_message(error)))}"
        if status in (401, 403):
            words = f"the endpoint refuses the key in ${self._key_name} ({words})"
        elif status == 404:
            words = (
                f"{words}; must be a model of the endpoint's, got {self._settings.model!r}, and --base-url must be the "
                f"API's address, which often ends in /v1, got {self._settings.base_url}"
            )
        elif status < 400:
            words = f"{words}; --base-url must be the API's own address, got {self._settings.base_url}, which leads on"
        elif status == 400 and error.param == self._limit_field:
            words = f"{words}; --limit-field names it otherwise"
        is_limit = status == _TOO_MANY
        again = (is_limit and code not in _OUT_OF_MONEY) or status in _BUSY or status >= 500
        wait = asked_pause(error.response.headers) if again else 0.0
        return Unanswered(words, may_help=again, wait=wait, is_limit=is_limit, may_cost=status >= 500)


def asked_pause(headers: "Mapping[str, str]", now: float | None = None) -> float:
    """Seconds that a reply asks to wait (RFC 9110, section 10.2.3: a number, or a date); 0 where it doesn't.

    Args:
        headers: of the reply.
        now: seconds since 1970, with which a date is compared.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        try:
            seconds = float(value) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        at = parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(0.0, at - (time.time() if now is None else now))


def _message(error: "APIStatusError") -> str:
    """What the endpoint says, without the client's frame around it."""
    body = error.body
    if isinstance(body, dict):
        return str(body.get("message") or body.get("detail") or body)
    return str(body or error.response.reason_phrase or "no word about it")


def _read_key(name: str) -> str:
    key = os.environ.get(name, "").strip()
    if not key:
        raise EndpointError(
            f"${name} must hold the endpoint's key, got nothing; a server of your own that asks for none takes any text"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise EndpointError(f"${name} must hold a key of printable ASCII characters without spaces, got something else")
    return key
