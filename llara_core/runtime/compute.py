"""Seeds, devices and threads."""

import os
import re
from pathlib import Path

import torch

_GIB = 2**30


def seed_torch(seed: int) -> None:
    """Seed weight initialisation and dropout, and refuse CUDA kernels whose results vary from run to run."""
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling fresh memory is a debugging aid that can cost a fifth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def choose_device() -> torch.device:
    """Return the process's GPU (by LOCAL_RANK) when there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def is_main_process() -> bool:
    """Whether this process is the one that writes artifacts; accelerate sets RANK."""
    return int(os.environ.get("RANK", "0")) == 0


def n_processes() -> int:
    """Return how many processes train together; accelerate sets WORLD_SIZE."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def peak_memory_gib() -> float:
    """Return this process's highest memory use so far in GiB: of its GPU when it uses one, else of its main memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / _GIB
    # Not getrusage: its ru_maxrss is inherited from the process that started this one.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 / _GIB if found else 0.0
