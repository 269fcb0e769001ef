"""The exceptions a user can meet: each message names the file or field, the expectation and what was found."""

from collections.abc import Mapping
from typing import Any, ClassVar


class LlaraError(Exception):
    """Base of every error that is the user's to mend; commands print it in one line and exit with its status."""

    exit_code: ClassVar[int] = 1

    @property
    def details(self) -> Mapping[str, Any]:
        """What `llara … --json` says beside the message, for programs."""
        return {}


class ParamsError(LlaraError):
    """params.yaml is unreadable or holds unknown, missing or unusable values."""


class SourceError(LlaraError):
    """A raw file could not be obtained, or is not the file that it should be."""


class DataError(LlaraError):
    """Raw data is malformed, or nothing is left of it after filtering."""


class ArtifactError(LlaraError):
    """An artifact of an earlier stage is missing, broken, or belongs to other data."""


class ModelError(LlaraError):
    """A language model, tokenizer or checkpoint cannot be used."""


class PromptTooLongError(ModelError):
    """What is asked makes a prompt of more tokens than the language model reads."""


class RequestError(LlaraError):
    """What a model is asked can't be answered: a history or a candidate list is empty, too long, or unreadable."""


class EndpointError(LlaraError):
    """An endpoint is down, refuses what it is asked, or replies with nonsense."""


class LicenceError(LlaraError):
    """What is asked for would be handed on against a licence."""
