"""A plan as tables and sentences for people."""

from rich.console import Console
from rich.table import Table

from llara_core.params.sections import Llm
from llara_core.planning.advice import Change
from llara_core.planning.memory import GIB, read_shape
from llara_core.planning.plan import Plan, Verdict

_PARTS = {
    "program": "program, tables",
    "weights": "weights",
    "trained": "LoRA, projector, head",
    "gradients": "gradients",
    "optimizer": "optimiser",
    "averages": "average and best weights",
    "activations": "activations",
    "working": "backward pass at work",
    "logits": "logits and scores",
    "allocator": "allocator's holes",
}


def print_plan(plan: Plan, console: Console | None = None) -> None:
    """Print a plan."""
    console = console or Console(highlight=False, soft_wrap=True)
    for line in (*_what(plan), *_how_much(plan)):
        console.print(line, markup=False)
    console.print(_memory_table(plan))
    for line in (*_advice(plan), *_how_long(plan), *_disk(plan), _conclusion(plan)):
        console.print(line, markup=False)


def gib(size: float) -> str:
    """Bytes in words; two digits below ten GiB."""
    return f"{size / GIB:.2f} GiB" if size < 10 * GIB else f"{size / GIB:.1f} GiB"


def span(seconds: float) -> str:
    """Return seconds in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _what(plan: Plan) -> list[str]:
    llm, counts = plan.llm, plan.parameters
    shape = read_shape(plan.params, llm.shape)
    checkpointing = "on" if plan.params.train.gradient_checkpointing else "off"
    return [
        f"{plan.params.train.objective.name} on {plan.params.dataset.name} with {llm.name}, shape from {llm.origin}",
        f"parameters: {counts['whole']:,} whole; {counts['read']:,} read, {shape.layers} of {llm.shape.layers} layers, "
        f"{_numbers(plan.params.selected_llm)}; trained: LoRA {counts['lora']:,}, projector {counts['projector']:,}, "
        f"head {counts['head']:,}; gradient checkpointing {checkpointing}",
    ]


def _numbers(llm: Llm) -> str:
    return llm.dtype if llm.quantization is None else f"linear maps in {llm.quantization}, products in {llm.dtype}"


def _how_much(plan: Plan) -> list[str]:
    work, lengths = plan.workload, plan.workload.lengths
    catalogue, auto = work.catalogue, " (auto, by what is free here)" if plan.is_auto else ""
    return [
        f"examples: {work.examples:,} in {work.steps:,} steps, {work.passes:.2f} times the {catalogue.examples:,} that "
        f"there are (counts: {catalogue.origin})",
        f"tokens: {work.tokens:,} in training, {work.padded_tokens:,} with padding, {work.validated:,} in validation; "
        f"{lengths.mean:.0f} an example, at most {work.rows}{auto} × {lengths.widest} at a time (counts: "
        f"{lengths.origin})",
    ]


def _memory_table(plan: Plan) -> Table:
    table = Table(title="memory of one process at its peak, GiB")
    table.add_column("part")
    devices = {verdict.machine.device: verdict.memory for verdict in plan.verdicts}
    for device in devices:
        table.add_column("main memory" if device == "cpu" else "GPU", justify="right")
    for part, name in _PARTS.items():
        table.add_row(name, *(f"{memory.parts[part] / GIB:.3f}" for memory in devices.values()))
    starting = [memory.starting == memory.peak for memory in devices.values()]
    table.add_section()
    peaks = [f"{memory.peak / GIB:.2f}" for memory in devices.values()]
    table.add_row("peak" + (" (while loading)" if all(starting) else ""), *peaks)
    return table


def _advice(plan: Plan) -> list[str]:
    lines = [_sentence(verdict) for verdict in plan.verdicts]
    shown: set[str] = set()
    for verdict in plan.verdicts:
        if verdict.advice is None:
            continue
        if verdict.machine.device not in shown:
            shown.add(verdict.machine.device)
            where = "here" if verdict is plan.here else "on a card"
            lines.append(f"each change by itself, {where}, instead of {gib(verdict.memory.peak)}:")
            lines += [f"  {_change(change)}" for change in verdict.advice.alone]
        lines.append(_together(verdict))
    return lines


def _sentence(verdict: Verdict) -> str:
    machine, memory = verdict.machine, verdict.memory
    free = "" if machine.free == machine.total else f", {gib(machine.free)} of it free now"
    return f"{machine.name} ({gib(machine.total)}{free}): {verdict.answer}, {gib(memory.peak)}"


def _change(change: Change) -> str:
    return f"{' '.join(f'-S {text}' for text in change.overrides)}: {gib(change.peak)} ({change.cost})"


def _together(verdict: Verdict) -> str:
    advice = verdict.advice
    if advice is None or advice.together is None:
        return f"{verdict.machine.name}: all of these changes together don't make it fit with a margin of 20 %"
    overrides = " ".join(f"-S {text}" for change in advice.together for text in change.overrides)
    return f"{verdict.machine.name}: fits with {overrides}: {gib(advice.together[-1].peak)}"


def _how_long(plan: Plan) -> list[str]:
    duration = plan.duration
    if duration is None:
        return ["time: not estimated; --probe measures a few steps here, --rate takes tokens a second"]
    return [
        f"time: {span(duration.training)} of training and {span(duration.validation)} of validation, at "
        f"{duration.rate:,.0f} tokens a second ({duration.origin})"
    ]


def _disk(plan: Plan) -> list[str]:
    parts = ", ".join(f"{name.replace('_', ' ')} {gib(size)}" for name, size in plan.disk.items() if size)
    enough = "" if plan.disk_suffices else ": TOO LITTLE"
    return [f"disk: {gib(sum(plan.disk.values()))} ({parts}); free {gib(plan.disk_free)}{enough}"]


def _conclusion(plan: Plan) -> str:
    if plan.exit_code == 0:
        return "It fits here." if plan.here.answer == "fits" else "It fits here, within the estimate's margin of 20 %."
    if not plan.disk_suffices and plan.here.answer != "too large":
        return "The disk is too small here."
    wide = [verdict.machine.name for verdict in plan.verdicts[1:] if verdict.answer != "too large"]
    return f"It doesn't fit here; it does on a {wide[0]}." if wide else "It fits neither here nor on any card listed."
