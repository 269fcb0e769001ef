"""What a run was made on and with, in words: for a reader who wonders why times or last digits differ."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("llara", "torch", "transformers", "peft", "accelerate", "numpy", "scipy", "pyarrow", "dvc")
_PROCESSORS = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, str]:
    """Processor, cores, system and versions of the libraries that decide results; what isn't known is left out."""
    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count() or ""),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {name: words for name, words in found.items() if words}


def _processor() -> str:
    """The model's name, which Python tells on few systems."""
    try:
        lines = _PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
