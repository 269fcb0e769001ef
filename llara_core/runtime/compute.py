"""Seeds, devices, precision and threads."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from llara_core.errors import ParamsError
from llara_core.runtime.logs import LOGGER
from llara_core.runtime.processes import n_processes

if TYPE_CHECKING:
    from accelerate import PartialState

_GIB = 2**30
_PATIENCE = timedelta(days=30)
_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # instructions of x86 and of ARM, as PyTorch names them


def seed_torch(seed: int) -> None:
    """Seed weight initialisation and dropout, and refuse operations whose results vary from run to run.

    An operation without a deterministic implementation raises a RuntimeError; with PyTorch's `warn_only` it would not
    only pass with a warning: attention's fused backward kernels would also stay with their varying variants, which they
    leave only where errors are wanted (ATen/native/transformers/cuda/attention_backward.cu). Of what our models run on
    CUDA nothing is refused by the list in `torch.use_deterministic_algorithms`: embeddings' and masks' backward
    (index_put, index_add, gather, scatter) have deterministic variants, cumulative sums are of integers, cross-entropy
    is over [N, V] (only the loss of images varies), and 1-d max pooling gathers in its backward. cuBLAS and cuDNN's
    recurrent layers need a fixed workspace, which is read when CUDA starts: call this before anything runs there.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("FLASH_ATTENTION_DETERMINISTIC", "1")  # its backward pass; PyTorch knows nothing of it
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory is a debugging aid that can cost a fifth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def choose_device() -> torch.device:
    """Return the process's GPU (by LOCAL_RANK) when there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def autocast(precision: str) -> torch.autocast:
    """Context in which matrix products on this process's device have `precision`, float32 or bfloat16."""
    return torch.autocast(choose_device().type, torch.bfloat16, enabled=precision == "bfloat16")


def mixed_precision(field: str, precision: str) -> str:
    """Accelerate's word for the `precision` that `field` of params.yaml asks for.

    It must be passed on explicitly: where nothing is, the launcher's configuration decides.

    Raises:
        ParamsError: this process's GPU has no bfloat16.
    """
    if precision == "float32":
        return "no"
    if not torch.cuda.is_available():
        if not any(torch.cpu.get_capabilities().get(name) for name in _BFLOAT16):
            LOGGER.warning("%s: bfloat16 is slower than float32 on this CPU, which has no instructions for it", field)
    elif not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ParamsError(f"{field} must be float32 on {torch.cuda.get_device_name()}, got {precision}")
    return "bf16"


def meet_others(patience: timedelta = timedelta(minutes=30)) -> "PartialState":
    """Connect this process with the others, which wait for each other at most so long whenever they meet."""
    from accelerate import PartialState  # not at the top: stages that compute nothing needn't wait for it

    # Where there is no GPU, accelerate would take processes that aren't told of the CPU for single ones.
    return PartialState(cpu=not torch.cuda.is_available(), timeout=patience)


def wait_for_all() -> None:
    """Wait until all processes have come here, however long one takes."""
    if n_processes() > 1:
        meet_others(_PATIENCE).wait_for_everyone()


def smallest_of_all(number: int) -> int:
    """Return the smallest of what the processes that work together have; they must have waited for one another."""
    if n_processes() == 1:
        return number
    from accelerate.utils import gather_object  # not at the top, as above

    return min(gather_object([number]))


def peak_memory_gib() -> float:
    """Return this process's highest memory use so far in GiB: of its GPU when it uses one, else of its main memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / _GIB
    # Not getrusage: its ru_maxrss is inherited from the process that started this one.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 / _GIB if found else 0.0
