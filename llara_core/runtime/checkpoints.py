"""Checkpoints of a stage that takes long: whole or absent, free of pickles, one folder and one lock per experiment."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from llara_core.errors import ArtifactError, ModelError
from llara_core.runtime.files import checkpoint_directory
from llara_core.runtime.processes import is_main_process
from llara_core.runtime.seal import require_seal, seal


@contextmanager
def locked_checkpoints(stage: str, fingerprint: str, *, fresh: bool) -> Iterator[Path]:
    """Yield the experiment's checkpoint folder, held by this process alone; a block that succeeds empties it.

    What is stopped anywhere inside the block, while it trains or while it writes artifacts, can go on from the last
    checkpoint; what has succeeded begins anew when it is run once more, as `dvc repro --force` wants. In a distributed
    run the main process locks, removes and saves, and tells the others by `agreed_checkpoint`.

    Args:
        stage: whose experiment it is.
        fingerprint: of all that decides its weights.
        fresh: forget the checkpoints of an interrupted run.

    Raises:
        ModelError: another process is training the same experiment.
    """
    folder = checkpoint_directory() / stage / fingerprint
    if not is_main_process():
        yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            for leftover in folder.glob(".*.tmp"):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            if fresh:
                _discard(folder)
            yield folder
            _discard(folder)
    except Timeout as error:
        raise ModelError(f"{folder}: another process is running the same experiment") from error


def agreed_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint from which all processes go on: the latest that the main process sees, if there is one.

    Each looking for itself could meet the folder at another time. Accelerate must know of the processes by now.

    Raises:
        ModelError: it has been damaged since it was written.
    """
    found, damage = broadcast_object_list(list(_look(folder)) if is_main_process() else [None, None])
    if damage is not None:
        raise ModelError(damage)
    return found


def _look(folder: Path) -> tuple[Path | None, str | None]:
    """Return the latest checkpoint, if there is one, and what is wrong with it, if anything is."""
    found = latest_checkpoint(folder)
    try:
        if found is not None:
            require_seal(found, remedy="remove its folder")
    except ArtifactError as error:
        return found, f"damaged checkpoint: {error}"
    return found, None


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the highest step, if there is one."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := re.fullmatch(r"step-(\d+)", path.name))}
    return found[max(found)] if found else None


def _discard(folder: Path, keep: Path | None = None) -> None:
    """Remove checkpoints; one whose removal is interrupted no longer counts as one."""
    for path in set(folder.glob("[!.]*")) - {keep}:
        removed = path.rename(folder / f".{path.name}.discarded.tmp")
        shutil.rmtree(removed) if removed.is_dir() else removed.unlink()


@contextmanager
def new_checkpoint(folder: Path, step: int) -> Iterator[Path]:
    """Yield a folder to fill, which becomes the experiment's only checkpoint when the block succeeds."""
    final = folder / f"step-{step}"
    temporary = folder / f".{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        seal(temporary)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _discard(folder, keep=final)


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
