"""The whole of a plan: what a finetuning will need, where that fits, and what to change where it doesn't."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llara_core.errors import RequestError
from llara_core.params.params import Params
from llara_core.planning.advice import Advice, advise
from llara_core.planning.counting import count_workload, processed_source
from llara_core.planning.disk import estimate_disk
from llara_core.planning.duration import Duration, estimate_duration
from llara_core.planning.finding import Found, find_llm
from llara_core.planning.machines import Machine, cards, free_disk, this_machine
from llara_core.planning.memory import MARGIN, Memory, estimate_memory, read_shape
from llara_core.planning.micro_batch import is_open, largest_rows, with_rows
from llara_core.planning.trained import Trained, count_trained
from llara_core.planning.workload import Workload

FITS, HERE_NOT, NOWHERE = 0, 4, 5
"""Exit codes of `llara plan`."""


@dataclass(frozen=True)
class Verdict:
    """Whether a run fits on a machine.

    Attributes:
        machine: where.
        memory: what it would take there.
        advice: what to change; None where it fits.
    """

    machine: Machine
    memory: Memory
    advice: Advice | None

    @property
    def answer(self) -> str:
        """`fits`, `tight` or `too large`."""
        if self.memory.peak * MARGIN <= self.machine.total:
            return "fits"
        return "tight" if self.memory.peak <= self.machine.total else "too large"


@dataclass(frozen=True)
class Plan:
    """A plan of one run of finetuning, in one process.

    Attributes:
        params: all of params.yaml, with a number for `micro_batch_size: auto`.
        is_auto: whether that number is this machine's.
        llm: the language model.
        trained: weights that are trained.
        workload: examples, steps and tokens.
        verdicts: this machine's, and those of rented cards.
        duration: None: neither measured nor given.
        disk: bytes, by what they are for.
        disk_free: bytes.
    """

    params: Params
    is_auto: bool
    llm: Found
    trained: Trained
    workload: Workload
    verdicts: tuple[Verdict, ...]
    duration: Duration | None
    disk: dict[str, int]
    disk_free: int

    @property
    def here(self) -> Verdict:
        """This machine's verdict."""
        return self.verdicts[0]

    @property
    def disk_suffices(self) -> bool:
        """Whether there is room on the disk."""
        return sum(self.disk.values()) <= self.disk_free

    @property
    def exit_code(self) -> int:
        """0: it fits here, if tightly; 4: not here, but on a card of those listed; 5: on none."""
        if self.here.answer != "too large" and self.disk_suffices:
            return FITS
        return HERE_NOT if any(verdict.answer != "too large" for verdict in self.verdicts) else NOWHERE

    @property
    def parameters(self) -> dict[str, int]:
        """Numbers of weights, by what they are."""
        shape = read_shape(self.params, self.llm.shape)
        return {"whole": self.llm.shape.parameters, "read": shape.parameters, **asdict(self.trained)}

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values; bytes, seconds, counts."""
        workload, llm = self.workload, self.llm
        duration = None if self.duration is None else asdict(self.duration)
        return {
            "language_model": {"name": llm.name, "shape_from": llm.origin, "download_bytes": llm.download},
            "objective": self.params.train.objective.name,
            "layers": {"whole": llm.shape.layers, "read": read_shape(self.params, llm.shape).layers},
            "parameters": self.parameters,
            "examples": {
                "planned": workload.examples,
                "available": workload.catalogue.examples,
                "passes": round(workload.passes, 3),
                "from": workload.catalogue.origin,
            },
            "tokens": {
                "training": workload.tokens,
                "training_padded": workload.padded_tokens,
                "validation": workload.validated,
                "largest_micro_batch": workload.largest,
                "an_example": round(workload.lengths.mean, 1),
                "from": workload.lengths.origin,
            },
            "steps": workload.steps,
            "micro_batch_size": workload.rows,
            "memory": [_verdict_json(verdict) for verdict in self.verdicts],
            "seconds": duration,
            "disk": {**self.disk, "free": self.disk_free, "suffices": self.disk_suffices},
            "exit_code": self.exit_code,
        }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    machine, memory, advice = verdict.machine, verdict.memory, verdict.advice
    return {
        "machine": machine.name,
        "device": machine.device,
        "total": machine.total,
        "free": machine.free,
        "answer": verdict.answer,
        "peak": memory.peak,
        "parts": memory.parts,
        "starting": memory.starting,
        "advice": None if advice is None else asdict(advice),
    }


def make_plan(
    params: Params, processed: Path, metrics: Path, *, rate: float | None = None, probes: bool = False
) -> Plan:
    """Plan a finetuning with the selected params.

    Args:
        params: all of params.yaml.
        processed: the folder that `preprocess` writes; it may be missing.
        metrics: the folder in which `fetch` says what it has fetched; it may be missing.
        rate: tokens a second of training, if it is known.
        probes: whether the rate is to be measured on this machine.

    Raises:
        RequestError: both are given.
        ModelError: the model's shape isn't known, or not fit for the params.
        DataError: nothing is known of the dataset.
    """
    if rate is not None and probes:
        raise RequestError("--rate and --probe must not be given together: the one says what the other measures")
    llm = find_llm(params.selected_llm)
    shape = read_shape(params, llm.shape)
    trained, machine, fetched = count_trained(params, shape), this_machine(), processed_source(metrics)
    is_auto = is_open(params)
    if is_auto:
        single = count_workload(with_rows(params, 1), llm, processed, fetched)
        # Where not even one example fits, the verdict says so.
        params = with_rows(params, largest_rows(params, llm, single, machine, processes=1) or 1)
    workload = count_workload(params, llm, processed, fetched)
    verdicts = tuple(_judge(params, llm, workload, place) for place in (machine, *cards()))
    return Plan(
        params,
        is_auto,
        llm,
        trained,
        workload,
        verdicts,
        _duration(params, llm, workload, machine, rate, probes=probes),
        estimate_disk(params, llm, trained, workload),
        free_disk(processed.absolute()),
    )


def _judge(params: Params, llm: Found, workload: Workload, machine: Machine) -> Verdict:
    memory = estimate_memory(params, llm.shape, workload, machine.device)
    verdict = Verdict(machine, memory, None)
    if verdict.answer == "fits":
        return verdict
    return Verdict(machine, memory, advise(params, llm, workload, machine.device, round(machine.total / MARGIN)))


def _duration(
    params: Params, llm: Found, workload: Workload, machine: Machine, rate: float | None, *, probes: bool
) -> Duration | None:
    checkpointing = params.train.gradient_checkpointing
    if rate is not None:
        return estimate_duration(workload, rate, "given", checkpointing=checkpointing)
    if not probes:
        return None
    # Not at the top: transformers and peft take seconds.
    from llara_core.planning.probe import probe

    probed = probe(params, llm, workload, machine.free)
    shape = read_shape(params, llm.shape)
    depth = "" if probed.layers == shape.layers else f" of {probed.layers} of {shape.layers} layers, extended to all"
    origin = f"{probed.micro_batches} micro-batches of a random model of its shape{depth}, on this {machine.device}"
    return estimate_duration(workload, probed.rate, origin, checkpointing=checkpointing)
