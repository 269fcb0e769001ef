"""Who is asked, and how: all that an answer depends on besides the prompt."""

import hashlib
import ipaddress
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from llara_core.errors import RequestError
from llara_core.params.base import Name, PositiveInt, Section

LimitField = Literal["max_tokens", "max_completion_tokens"]
"""What an endpoint calls the limit of a reply's tokens; OpenAI's reasoning models know the second name alone."""


class Settings(Section):
    """A model at an endpoint, and what is asked of it beside the prompt.

    Attributes:
        base_url: address of the API, without a slash at its end.
        model: as the endpoint names it.
        temperature: of the reply; 0 is greedy.
        reply_tokens: a reply has at most so many.
        system: a message before the prompt, if there is one.
    """

    base_url: Name
    model: Name
    temperature: Annotated[float, Field(ge=0, le=2)]
    reply_tokens: PositiveInt
    system: Name | None

    @field_validator("base_url")
    @classmethod
    def _usable(cls, value: str) -> str:
        return _usable_address(value)

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Check settings as a user gave them.

        Raises:
            RequestError: one is unusable.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0]).replace("_", "-")
            reason = problem["msg"].removeprefix("Value error, ")
            raise RequestError(f"--{name} is unusable: {reason}") from None  # which would quote the address

    @property
    def host(self) -> str:
        """To whom prompts are sent."""
        return urlsplit(self.base_url).netloc

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def row(self) -> str:
        """What the model is called where file names go: letters, digits and `. _ -`, none of them hidden."""
        return re.sub(r"[^A-Za-z0-9._-]+", "_", self.model).lstrip(".-")[:80] or "model"

    def messages(self, prompt: str) -> list[dict[str, str]]:
        """Return the conversation that asks a prompt."""
        before = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*before, {"role": "user", "content": prompt}]

    def key_of(self, prompt: str) -> str:
        """SHA-256 of settings and prompt: the same where the same is asked of the same model in the same way."""
        return hashlib.sha256(f"{self.digest}\0{prompt}".encode()).hexdigest()


def require_name(name: str) -> None:
    """Refuse a name that isn't one of a file in its folder on any system.

    Raises:
        RequestError: naming it.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", name):
        raise RequestError(f"--name must be of letters, digits and . _ - alone, at most 80 of them, got {name!r}")


def _usable_address(value: str) -> str:
    """Refuse an address that isn't one of an API, that carries secrets, or over which the key would go unencrypted."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("must be an address such as https://api.openai.com/v1") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be an address such as https://api.openai.com/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must have neither user, password, query nor fragment: it is stored beside the answers")
    if parts.scheme == "http" and not _is_near(host):
        raise ValueError(f"must begin with https, or the key would go unencrypted to {host}")
    return value.rstrip("/")


def _is_near(host: str) -> bool:
    """Whether a host is this machine or in its own network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))
    return address.is_private or address.is_loopback
