"""This machine's memory and disk, and the cards that one can rent."""

import shutil
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30
CARDS = {"24 GB card": 23.5, "40 GB card": 39.4, "80 GB card": 79.1}
"""GiB that such a card offers: an RTX 4090 or A10, an A100, an A100 or H100 of 80 GB."""
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_CGROUP_USED = (Path("/sys/fs/cgroup/memory.current"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"))


@dataclass(frozen=True)
class Machine:
    """What a process can have.

    Attributes:
        name: in words.
        device: cpu or cuda.
        total: bytes of memory.
        free: bytes of it that nobody uses now.
    """

    name: str
    device: str
    total: int
    free: int


def this_machine() -> Machine:
    """Return the GPU on which this process would train, else the main memory, within a container's limit."""
    import torch  # not at the top: a second

    from llara_core.runtime.compute import choose_device

    if (device := choose_device()).type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return Machine(f"this machine's {torch.cuda.get_device_name(device)}", "cuda", total, free)
    total, free = _main_memory(Path("/proc/meminfo"))
    for limit, used in zip(_CGROUP_LIMITS, _CGROUP_USED, strict=True):
        allowed, taken = _number(limit), _number(used)
        if allowed is not None and allowed < total:
            total, free = allowed, min(free, allowed - (taken or 0))
    return Machine("this machine's memory", "cpu", total, max(free, 0))


def cards() -> list[Machine]:
    """Return the cards that a plan is held against, all of their memory free."""
    sizes = {name: round(gib * GIB) for name, gib in CARDS.items()}
    return [Machine(name, "cuda", size, size) for name, size in sizes.items()]


def free_disk(path: Path) -> int:
    """Bytes free where `path` is or would be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def _main_memory(path: Path) -> tuple[int, int]:
    """Bytes in all, and available, by /proc/meminfo."""
    entries = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    total, free = (1024 * int(entries[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    return total, free


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such file, or `max`
        return None
