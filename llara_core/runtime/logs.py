"""One log format for all stages, on standard error so that standard output stays for results."""

import logging
import os
import sys
import warnings

LOGGER = logging.getLogger("llara")


def set_up_logging() -> None:
    """Log to standard error, only from the main process of a distributed run."""
    level = logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    LOGGER.setLevel(level)
    # It advises a package that fetches compiled code from the hub.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # Notices among the libraries themselves: a user can do nothing about them.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.|peft\.")
