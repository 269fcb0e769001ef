"""What to change where a run doesn't fit: each change by itself, and then together, in the order of what it costs.

What changes no result, but masks of dropout, comes first (micro-batches, checkpointing), then numbers of half the size,
then a base model of 4 bits, then what makes another model: fewer layers, shorter inputs, a smaller rank.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from llara_core.params.objectives import RecipeWithHead, Stream
from llara_core.params.params import Params
from llara_core.params.sections import PackagedLlm
from llara_core.planning.finding import Found
from llara_core.planning.memory import estimate_memory, read_shape
from llara_core.planning.workload import Workload, changed, with_recipe


@dataclass(frozen=True)
class Change:
    """A change of params.yaml, and the peak that it leads to.

    Attributes:
        overrides: as `-S` takes them.
        cost: what one pays for it, in words.
        peak: bytes, with this change alone, or with all before it.
    """

    overrides: tuple[str, ...]
    cost: str
    peak: int


@dataclass(frozen=True)
class _Option:
    params: Params
    overrides: tuple[str, ...]
    cost: str


@dataclass(frozen=True)
class Advice:
    """What would make a run fit.

    Attributes:
        alone: each change by itself, that saves anything.
        together: the shortest run of them, in order, with which it fits; none: not even all of them suffice.
    """

    alone: tuple[Change, ...]
    together: tuple[Change, ...] | None


def advise(params: Params, llm: Found, workload: Workload, device: str, room: int) -> Advice:
    """Look for changes that bring the peak on a `device` below `room` bytes."""
    peak = estimate_memory(params, llm.shape, workload, device).peak
    alone = []
    for option in _options(params, llm, device):
        smaller = _peak(option.params, params, llm, workload, device)
        if smaller < 0.99 * peak:
            alone.append(Change(option.overrides, option.cost, smaller))
    return Advice(tuple(alone), _combine(params, llm, workload, device, room))


def _combine(params: Params, llm: Found, workload: Workload, device: str, room: int) -> tuple[Change, ...] | None:
    """Take every kind of change in turn, as far as it goes, until the run fits."""
    taken: list[Change] = []
    now, peak = params, estimate_memory(params, llm.shape, workload, device).peak
    for kind in _KINDS:
        for option in _usable(list(kind(now, llm, device))):
            smaller = _peak(option.params, params, llm, workload, device)
            if smaller >= 0.99 * peak:
                continue
            if taken and taken[-1].overrides[0].split("=")[0] == option.overrides[0].split("=")[0]:
                taken.pop()  # the same knob, turned further
            taken.append(Change(option.overrides, option.cost, smaller))
            now, peak = option.params, smaller
            if peak <= room:
                return tuple(taken)
    return None


def _peak(new: Params, old: Params, llm: Found, workload: Workload, device: str) -> int:
    return estimate_memory(new, llm.shape, changed(workload, old, new), device).peak


def _options(params: Params, llm: Found, device: str) -> Iterator[_Option]:
    for kind in _KINDS:
        yield from _usable(kind(params, llm, device))


def _usable(options: Iterable[_Option]) -> Iterator[_Option]:
    """Leave out what params.yaml's own checks would refuse, such as a history too short for a recommender."""
    for option in options:
        try:
            Params.model_validate(option.params.model_dump())
        except ValidationError:
            continue
        yield option


def _micro_batches(params: Params, llm: Found, device: str) -> Iterator[_Option]:
    recipe, name = params.selected_objective, params.train.objective.name
    result = "other masks of dropout" if params.lora.dropout else "the same result"
    for size in range(recipe.rows - 1, 0, -1):
        if recipe.batch_size % size == 0:
            overrides = (f"objectives.{name}.micro_batch_size={size}",)
            yield _Option(with_recipe(params, micro_batch_size=size), overrides, f"{result}, some time on a GPU")


def _checkpointing(params: Params, llm: Found, device: str) -> Iterator[_Option]:
    if not params.train.gradient_checkpointing:
        train = params.train.model_copy(update={"gradient_checkpointing": True})
        overrides = ("train.gradient_checkpointing=true",)
        yield _Option(params.model_copy(update={"train": train}), overrides, "the same result, half as much time again")


def _smaller_numbers(params: Params, llm: Found, device: str) -> Iterator[_Option]:
    entry, name = params.selected_llm, params.llm.name
    if entry.dtype == "bfloat16" and params.train.precision == "bfloat16":
        return
    llms = {**params.llms, name: entry.model_copy(update={"dtype": "bfloat16"})}
    train = params.train.model_copy(update={"precision": "bfloat16"})
    cost = (
        "numbers of 8 significant bits; very slow on a CPU without matrix units for them"
        if device == "cpu"
        else "numbers of 8 significant bits"
    )
    overrides = (f"llms.{name}.dtype=bfloat16", "train.precision=bfloat16")
    yield _Option(params.model_copy(update={"llms": llms, "train": train}), overrides, cost)


def _four_bits(params: Params, llm: Found, device: str) -> Iterator[_Option]:
    entry, name = params.selected_llm, params.llm.name
    if isinstance(entry, PackagedLlm) or entry.quantization is not None:
        return
    llms = {**params.llms, name: entry.model_copy(update={"quantization": "nf4"})}
    is_there = "quantization" in entry.model_fields_set  # or -S has to add it
    overrides = (f"{'' if is_there else '+'}llms.{name}.quantization=nf4",)
    cost = "QLoRA: a rounded base model, slower products, and the extra gpu"
    yield _Option(params.model_copy(update={"llms": llms}), overrides, cost)


def _layers(params: Params, llm: Found, device: str) -> Iterator[_Option]:
    recipe, depth = params.selected_objective, read_shape(params, llm.shape).layers
    if isinstance(recipe, RecipeWithHead):
        for layers in _halves(depth, 1):
            overrides = (f"objectives.{params.train.objective.name}.layers={layers}",)
            yield _Option(with_recipe(params, layers=layers), overrides, "another model, and less time")


def _shorter(params: Params, llm: Found, device: str) -> Iterator[_Option]:
    recipe = params.selected_objective
    if isinstance(recipe, Stream):
        for tokens in _halves(recipe.chunk_tokens, 64):
            overrides = (f"objectives.stream.chunk_tokens={tokens}",)
            yield _Option(with_recipe(params, chunk_tokens=tokens), overrides, "shorter histories")
        return
    for length in _halves(params.split.history_length, params.split.min_history):
        split = params.split.model_copy(update={"history_length": length})
        overrides = (f"split.history_length={length}",)
        yield _Option(params.model_copy(update={"split": split}), overrides, "shorter histories, for all models")


def _rank(params: Params, llm: Found, device: str) -> Iterator[_Option]:
    for rank in _halves(params.lora.rank, 1):
        lora = params.lora.model_copy(update={"rank": rank})
        yield _Option(params.model_copy(update={"lora": lora}), (f"lora.rank={rank}",), "fewer weights to learn with")


def _halves(size: int, smallest: int) -> list[int]:
    halves = []
    while (size := size // 2) >= smallest:
        halves.append(size)
    return halves


_KINDS = (_micro_batches, _checkpointing, _smaller_numbers, _four_bits, _layers, _shorter, _rank)
