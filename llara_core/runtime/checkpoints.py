"""Training checkpoints: whole or absent, free of pickles, one folder and one lock per experiment."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from llara_core.errors import ModelError
from llara_core.runtime.compute import is_main_process
from llara_core.runtime.files import checkpoint_directory, sha256_of

_SOURCES = Path(__file__).resolve().parents[1]


def experiment_fingerprint(settings: dict[str, Any], inputs: list[Path]) -> str:
    """Digest of all that decides a run's weights: settings, input files and this package's source code."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for path in [*inputs, *sorted(_SOURCES.rglob("*.py"))]:
        digest.update(f"{path.name}\0{sha256_of(path)}".encode())
    return digest.hexdigest()[:16]


@contextmanager
def locked_checkpoints(stage: str, fingerprint: str) -> Iterator[Path]:
    """Yield the experiment's checkpoint folder, held by this process alone.

    Raises:
        ModelError: another process is training the same experiment.
    """
    folder = checkpoint_directory() / stage / fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    if not is_main_process():  # the main process holds the lock for all of a distributed run
        yield folder
        return
    try:
        with FileLock(folder / ".lock", timeout=0):
            for leftover in folder.glob(".*.tmp"):
                shutil.rmtree(leftover)
            yield folder
    except Timeout as error:
        raise ModelError(f"{folder}: another process is running the same experiment") from error


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the highest step, if there is one."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := re.fullmatch(r"step-(\d+)", path.name))}
    return found[max(found)] if found else None


def discard_checkpoints(folder: Path) -> None:
    """Remove all checkpoints of the experiment."""
    for path in folder.glob("step-*"):
        shutil.rmtree(path)


@contextmanager
def new_checkpoint(folder: Path, step: int) -> Iterator[Path]:
    """Yield a folder to fill, which becomes the experiment's only checkpoint when the block succeeds."""
    final = folder / f"step-{step}"
    temporary = folder / f".{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for path in folder.glob("step-*"):
        if path != final:
            shutil.rmtree(path)


def save_trainable(model: nn.Module, path: Path) -> None:
    """Save every trainable parameter, whether or not the last batch used it."""
    save_file({name: tensor.detach().contiguous().cpu() for name, tensor in _trainable(model).items()}, path)


def load_trainable(model: nn.Module, path: Path) -> None:
    """Load what `save_trainable` saved.

    Raises:
        ModelError: the file is broken or doesn't hold exactly the model's trainable parameters.
    """
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: not a readable checkpoint ({error}); remove its folder") from error
    wanted = _trainable(model)
    if difference := sorted(stored.keys() ^ wanted.keys()):
        raise ModelError(f"{path}: must hold exactly the trainable parameters, differs in {', '.join(difference[:4])}")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(stored[name])


def save_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Save AdamW's moments and step counts as tensors named `<parameter>.<slot>`."""
    state = optimizer.state_dict()["state"]
    save_file(
        {f"{i}.{slot}": tensor.cpu().contiguous() for i, slots in state.items() for slot, tensor in slots.items()}, path
    )


def load_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Restore what `save_optimizer` saved; hyper-parameters come from the optimiser itself."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_file(path).items():
        index, slot = name.split(".", 1)
        state.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _trainable(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
