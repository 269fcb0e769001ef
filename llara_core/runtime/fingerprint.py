"""All that decides a run's weights as one digest: the name under which its checkpoints are found again."""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llara_core.runtime.compute import choose_device
from llara_core.runtime.files import sha256_of
from llara_core.runtime.processes import n_processes

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("llara_core", "stages")
_LIBRARIES = ("accelerate", "gguf", "numpy", "peft", "safetensors", "tokenizers", "torch", "transformers")
_OPTIONAL = ("bitsandbytes", "flash-attn")


def experiment_fingerprint(settings: dict[str, Any], inputs: Sequence[Path], *, by_processes: bool = True) -> str:
    """Digest of settings, input files, our code, the libraries that compute, the kind of device, the processes.

    Files count by their bytes. Size and time would be cheaper and wrong: a file can be replaced under both. Hashing
    costs a second for the 500 MB of a small language model and about ten for 13 GB.

    Args:
        settings: params, as JSON can hold them; precision is one of them.
        inputs: the files that are read, in a fixed order.
        by_processes: whether the result depends on how many processes work together.
    """
    decisive = {
        "settings": settings,
        "inputs": [(path.name, sha256_of(path)) for path in inputs],
        "code": [(path.relative_to(_ROOT).as_posix(), sha256_of(path)) for path in _code()],
        "libraries": {name: version(name) for name in _LIBRARIES} | {name: _version(name) for name in _OPTIONAL},
        "device": choose_device().type,
        "processes": n_processes() if by_processes else None,  # in training each draws masks of its own
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _code() -> list[Path]:
    return [path for package in _PACKAGES for path in sorted((_ROOT / package).rglob("*.py"))]
