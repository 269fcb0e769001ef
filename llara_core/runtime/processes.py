"""The processes that a launcher starts and that work together, as its environment says; accelerate needn't be there."""

import os


def process_index() -> int:
    """Return which of the processes that work together this is; accelerate sets RANK."""
    return int(os.environ.get("RANK", "0"))


def is_main_process() -> bool:
    """Whether this process is the one that writes artifacts."""
    return process_index() == 0


def n_processes() -> int:
    """Return how many processes work together; accelerate sets WORLD_SIZE."""
    return int(os.environ.get("WORLD_SIZE", "1"))
