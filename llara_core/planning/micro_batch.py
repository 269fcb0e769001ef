"""`micro_batch_size: auto`: as many examples at a time as fit into the memory that is free, by `memory`'s formulas.

Micro-batches change a step's result by rounding, and with `lora.dropout` by what its masks leave out; and its time: a
GPU wants large ones.
"""

from pathlib import Path

from llara_core.errors import LlaraError, ModelError
from llara_core.params.params import Params
from llara_core.planning.counting import count_workload, processed_source
from llara_core.planning.finding import Found, find_llm
from llara_core.planning.machines import Machine
from llara_core.planning.memory import GIB, MARGIN, estimate_memory
from llara_core.planning.workload import Workload, plan_workload, with_recipe


def is_open(params: Params) -> bool:
    """Whether the selected objective leaves it to the machine."""
    return params.selected_objective.micro_batch_size == "auto"


def with_rows(params: Params, rows: int) -> Params:
    """Return params whose selected objective has micro-batches of `rows` examples."""
    return with_recipe(params, micro_batch_size=rows)


def settled(params: Params, processed: Path, metrics: Path, machine: Machine, processes: int, parts: int = 1) -> Params:
    """Return params with a number in the place of `auto`.

    Args:
        params: all of params.yaml; the language model's config.json must be here already, or be known.
        processed: the folder that `preprocess` writes.
        metrics: the folder in which `preprocess` says what it has read.
        machine: whose memory it is, before the model is loaded.
        processes: that train together, each on a GPU of its own, or on one machine's main memory.
        parts: into which they divide the frozen weights.

    Raises:
        ModelError: not even one example fits, the batch can't be divided among processes, or the model's memory isn't
            known.
    """
    field = f"objectives.{params.train.objective.name}.micro_batch_size"
    try:
        llm = find_llm(params.selected_llm)
        workload = count_workload(with_rows(params, 1), llm, processed, processed_source(metrics))
        rows = largest_rows(params, llm, workload, machine, processes, parts)
        needed = _peak(with_rows(params, 1), llm, workload, machine.device, parts)
    except LlaraError as error:
        raise ModelError(f"{field}: auto can't be decided, give a number: {error}") from error
    if rows is None:
        raise ModelError(
            f"{field}: auto finds no size that fits: one example needs {needed * MARGIN / GIB:.2f} GiB, with a margin "
            f"of 20 %, and {machine.free / _sharers(machine, processes) / GIB:.2f} GiB of {machine.name} are free for "
            "a process; `llara plan` says what to change"
        )
    return with_rows(params, rows)


def largest_rows(
    params: Params, llm: Found, workload: Workload, machine: Machine, processes: int, parts: int = 1
) -> int | None:
    """Return the largest size that divides a process's share of a batch and fits; None: not even 1 does.

    It fits if its peak, and 20 % more, is free.

    Args:
        params: all of params.yaml.
        llm: the language model.
        workload: with texts of any micro-batch size: the longest is the longest of all.
        machine: whose memory it is.
        processes: that work together.
        parts: into which they divide the frozen weights.

    Raises:
        ModelError: the batch can't be divided among the processes.
    """
    batch = params.selected_objective.batch_size
    if batch % processes:
        raise ModelError(f"objectives.*.batch_size must be a multiple of the {processes} processes, got {batch}")
    share, free = batch // processes, machine.free // _sharers(machine, processes)
    for rows in range(share, 0, -1):
        if share % rows:
            continue
        if _peak(with_rows(params, rows), llm, workload, machine.device, parts) * MARGIN <= free:
            return rows
    return None


def _sharers(machine: Machine, processes: int) -> int:
    """How many processes have the machine's memory between them."""
    return 1 if machine.device == "cuda" else processes


def _peak(params: Params, llm: Found, workload: Workload, device: str, parts: int) -> int:
    sized = plan_workload(params, workload.catalogue, workload.lengths)
    return estimate_memory(params, llm.shape, sized, device, parts).peak
