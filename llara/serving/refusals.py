"""What a server can't do for a client, beside what a request can be wrong in."""

from llara_core.errors import LlaraError


class ServeError(LlaraError):
    """The server can't be started: a port is taken, an address isn't this machine's, a package is missing."""


class NotReadyError(LlaraError):
    """The model is still being loaded."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("the model is being loaded; ask again in a few seconds")


class BusyError(LlaraError):
    """Too many requests wait for the model."""


class SlowError(LlaraError):
    """The model had no turn for a request in time."""
