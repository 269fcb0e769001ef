"""A suite's runs: every arm with every seed, by names that say all that decides their results."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llara_core.errors import ParamsError
from llara_core.experiments.overrides import name_of, override
from llara_core.experiments.pipeline import Stage, signatures, stages_of
from llara_core.experiments.suites import Suite
from llara_core.params.base import Section
from llara_core.params.params import Params

_GIVEN = {"seed": "--seeds", "curriculum.epochs": "the suite's examples"}
_DIGITS = 8


@dataclass(frozen=True)
class Run:
    """One arm with one seed.

    Attributes:
        name: of its experiment: suite, arm, seed and the digest of all that its stages depend on.
        arm, seed: what it is.
        overrides: of params.yaml, in order.
        params: that they leave, checked.
        stages: of the pipeline, with these params.
        signatures: of each stage, by name.
    """

    name: str
    arm: str
    seed: int
    overrides: tuple[str, ...]
    params: Params
    stages: tuple[Stage, ...]
    signatures: dict[str, str]


def expand(
    name: str,
    suite: Suite,
    n_seeds: int,
    minutes: float,
    plain: Mapping[str, Any],
    pipeline: Mapping[str, Any],
    code: Mapping[str, str],
    base: Params,
) -> list[Run]:
    """Give every arm of a suite every seed; the baseline comes first, and all arms of a seed before the next seed.

    Args:
        name: of the suite.
        suite: its arms.
        n_seeds: seeds 0, 1, … of each.
        minutes: of tuning.
        plain: what params.yaml holds.
        pipeline: content of dvc.yaml.
        code: digests of the pipeline's code.
        base: the same, checked.

    Raises:
        ParamsError: an override is unusable, arms are tuned on different numbers of examples, or two are the same.
    """
    multiple = math.lcm(*(getattr(base.objectives, entry).batch_size for entry in type(base.objectives).model_fields))
    shared = [*suite.everywhere, *_budget(suite.examples_in(minutes, multiple), base)]
    arms = [suite.baseline, *(arm for arm in suite.arms if arm != suite.baseline)]
    ready = {}
    for arm in arms:
        _refuse_given(f"{name}.{arm}", [*suite.everywhere, *suite.arms[arm]])
        ready[arm] = override(plain, [*shared, *suite.arms[arm]], f"{name}.{arm}")
    _require_equal_examples(name, {arm: params for arm, (_, params) in ready.items()}, suite.baseline)
    runs = []
    for seed in range(n_seeds):
        for arm in arms:
            changed, params = ready[arm]
            stages = tuple(stages_of(pipeline, changed | {"seed": seed}))
            found = signatures(stages, code)
            digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:_DIGITS]
            overrides = (*shared, *suite.arms[arm], f"seed={seed}")
            seeded = params.model_copy(update={"seed": seed})
            runs.append(Run(f"{name}-{arm}-s{seed}-{digest}", arm, seed, overrides, seeded, stages, found))
    _require_different(name, [run for run in runs if run.seed == 0])
    return runs


def n_examples(params: Params) -> int:
    """How many examples a tuning passes over: those of its last step too, which is as large as all others."""
    recipe = params.selected_objective
    n_steps = math.ceil(params.curriculum.epochs * recipe.examples_per_epoch / recipe.batch_size)
    return n_steps * recipe.batch_size


def own_paths(params: Params) -> Iterator[tuple[str, Path]]:
    """Yield the user's own files and folders that a run reads, by the names of their params."""
    chosen: dict[str, Section] = {
        f"datasets.{params.dataset.name}": params.selected_dataset,
        f"llms.{params.llm.name}": params.selected_llm,
    }
    for entry, section in chosen.items():
        for field in type(section).model_fields:
            if isinstance(path := getattr(section, field), Path):
                yield f"{entry}.{field}", path


def _budget(examples: int, base: Params) -> list[str]:
    """Overrides that give whichever objective an arm has this number of examples, in one epoch."""
    entries = type(base.objectives).model_fields
    return [*(f"objectives.{entry}.examples_per_epoch={examples}" for entry in entries), "curriculum.epochs=1"]


def _refuse_given(what: str, overrides: Sequence[str]) -> None:
    for text in overrides:
        if (given := _GIVEN.get(name_of(text))) is not None:
            raise ParamsError(f"{what}: {name_of(text)} is given by {given} and can't be overridden, got -S {text}")


def _require_equal_examples(name: str, arms: Mapping[str, Params], baseline: str) -> None:
    expected = n_examples(arms[baseline])
    for arm, params in arms.items():
        validation = params.selected_objective.validation
        if validation.patience < validation.times:
            raise ParamsError(
                f"{name}.{arm}: objectives.{params.train.objective.name}.validation.patience must be ≥ times "
                f"{validation.times}, or training may end before an arm has had its examples, got {validation.patience}"
            )
        if (found := n_examples(params)) != expected:
            raise ParamsError(
                f"{name}.{arm}: an arm must be tuned on as many examples as the baseline {baseline}, {expected}, got "
                f"{found}"
            )


def _require_different(name: str, runs: Sequence[Run]) -> None:
    """Refuse arms that change nothing that a stage depends on, such as an option of what isn't selected."""
    for place, run in enumerate(runs):
        # Not by their digests, in which 0 and 0.0 differ.
        if (other := next((earlier.arm for earlier in runs[:place] if earlier.stages == run.stages), None)) is not None:
            raise ParamsError(
                f"{name}.{run.arm}: an arm's overrides must change what a stage depends on, got the same effective "
                f"params as {name}.{other}"
            )
