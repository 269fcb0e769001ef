"""What comes back from an endpoint, read strictly where it matters and not at all elsewhere."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llara_core.params.base import Section

MOST_BYTES = 1 << 20
"""Of a reply: a title is a few dozen; a reasoning model's may have thousands of tokens beside it."""
CUT, CONTENT_FILTER = ("length", "model_length"), "content_filter"
"""Reasons of ending; Mistral has a second one for an answer that came to a limit."""
_SHOWN = 200


class Reply(Section):
    """One answer.

    Attributes:
        answer: what the model wrote; empty if it wrote nothing.
        finish: why it ended, in the endpoint's words: `stop`, `length`, `content_filter`, …
        prompt_tokens, reply_tokens: as the endpoint counts; None where it doesn't.
        model: as the endpoint calls what has answered, often with a date.
    """

    answer: str
    finish: str | None
    prompt_tokens: int | None = Field(ge=0)
    reply_tokens: int | None = Field(ge=0)
    model: str | None

    @property
    def tokens(self) -> int | None:
        """All tokens, or None where the endpoint doesn't count."""
        if self.prompt_tokens is None or self.reply_tokens is None:
            return None
        return self.prompt_tokens + self.reply_tokens

    @property
    def is_whole(self) -> bool:
        """Whether the answer came to its end, instead of to the limit."""
        return self.finish not in CUT


class UnusableReply(ValueError):  # noqa: N818 — it is what the endpoint sent
    """A reply that is no answer; the message says what it is instead."""


def require_short(size: int, n_bytes: int) -> None:
    """Refuse a reply of more bytes.

    Raises:
        UnusableReply: naming the limit.
    """
    if size > n_bytes:
        raise UnusableReply(f"a reply must have at most {n_bytes} bytes, got more")


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Message(_Lenient):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Lenient):
    message: _Message
    finish_reason: str | None = None


class _Usage(_Lenient):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class _Completion(_Lenient):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
    model: str | None = None


def read_reply(body: bytes, content_type: str, hide: Callable[[str], str]) -> Reply:
    """Read the body of a chat completion.

    Args:
        body: all of it.
        content_type: what the endpoint says it is.
        hide: takes secrets out of a text; an endpoint may echo what it was sent.

    Raises:
        UnusableReply: it is none, in words that hold no secret.
    """
    try:
        found = _Completion.model_validate_json(body)
    except ValidationError as error:
        raise UnusableReply(_describe(error, hide(body.decode(errors="replace")), hide(content_type))) from None
    first, usage = found.choices[0], found.usage
    return Reply(
        answer=hide(first.message.content or first.message.refusal or ""),
        finish=None if first.finish_reason is None else hide(first.finish_reason),
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        reply_tokens=None if usage is None else usage.completion_tokens,
        model=None if found.model is None else hide(found.model),
    )


def one_line(text: str) -> str:
    """Return the beginning of a text, in one line that a terminal shows as it is."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    short = " ".join(plain.split())
    return short if len(short) <= _SHOWN else short[: _SHOWN - 1] + "…"


def _describe(error: ValidationError, body: str, content_type: str) -> str:
    """Say what was expected and what came."""
    problem = error.errors(include_url=False, include_context=False)[0]
    beginning = one_line(body[: 4 * _SHOWN]) or "nothing"
    if problem["type"] == "json_invalid":
        return f"a reply must be a chat completion in JSON, got {one_line(content_type) or 'no type'}: {beginning}"
    place = ".".join(str(part) for part in problem["loc"])
    return f"a reply must be a chat completion, but its {place or 'whole'} is unusable, got {beginning}"
