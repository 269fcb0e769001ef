"""The tiny repositories that a service is loaded from."""

from tests.recommending.conftest import repository_of

__all__ = ["repository_of"]
