"""Processes that come late."""

import os
import time
from collections.abc import Callable
from typing import Any


def late(load: Callable[..., Any]) -> Callable[..., Any]:
    """Read a checkpoint in the second process when the first may have finished."""

    def wait_and_load(*arguments: object) -> object:
        time.sleep(float(os.environ["RANK"]))
        return load(*arguments)

    return wait_and_load
