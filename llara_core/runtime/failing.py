"""One message for one failure, however many processes it ends."""

import os
from datetime import timedelta

from llara_core.runtime.processes import n_processes

_PATIENCE = timedelta(seconds=10)


def is_first_to_fail() -> bool:
    """Whether no other process has failed yet, so that it is this one's error that the user must know.

    A launcher's processes mostly fail of the same cause, or because another of them is gone. The launcher keeps a
    store in which they find each other: who fails says so there. Without one each speaks for itself.
    """
    if n_processes() == 1 or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    from torch.distributed import TCPStore

    try:
        store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=_PATIENCE)
        return store.add(f"llara/failed/{os.environ.get('TORCHELASTIC_RESTART_COUNT')}", 1) == 1
    except RuntimeError:  # the launcher, on another machine perhaps, is gone too
        return True
