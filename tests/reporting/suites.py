"""Results of suites made by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from llara_core.reporting.results import Answers, RunResult, SuiteResults
from llara_core.tables.predictions import Asked
from tests.evaluation.stored import make_asked

ASKED = make_asked(list(range(1, 31)))
HOSTILE = "<script>alert(1)</script>"


def popular(asked: Asked, counts: Sequence[int]) -> Asked:
    """The same lists, about targets of these training interactions; others have 30."""
    n_train = asked.n_train.copy()
    n_train[np.arange(len(asked)), asked.sets.target_indices] = counts
    return replace(asked, n_train=n_train)


def make_run(
    arm: str, seed: int, hits: Sequence[int], asked: Asked = ASKED, beside: Sequence[int] | None = None, **fields: Any
) -> RunResult:
    """A finished run that hits the lists of ones, beside a recommender."""
    values = np.array(hits, dtype=float)
    other = None if beside is None else np.array(beside, dtype=float)
    fields = {"params": {"seed": seed, "arm": arm}} | fields
    return RunResult(
        f"suite-{arm}-s{seed}-0",
        arm,
        seed,
        "done",
        answers=Answers(asked, values, np.ones(len(values)), other),
        **fields,
    )


def first(n: int, of: int = 30) -> list[int]:
    """Hits of the first lists."""
    return [1] * n + [0] * (of - n)


def make_curve(speeds: Sequence[float]) -> list[dict[str, float | None]]:
    """One row a step, with a loss that falls by 1, and validation at every second one."""
    return [
        {
            "step": float(step),
            "loss": float(10 - step),
            "learning_rate": 0.001,
            "hybrid_probability": step / len(speeds),
            "hybrid_share": float(step % 2),
            "examples_per_second": speed,
            "validation": step / 10 if step % 2 == 0 else None,
        }
        for step, speed in enumerate(speeds, start=1)
    ]


def make_suite(*runs: RunResult, arms: Sequence[str] | None = None, **fields: Any) -> SuiteResults:
    """A suite whose baseline is `base`."""
    names = arms or list(dict.fromkeys(run.arm for run in runs))
    overrides = {name: (f"arm={name}",) for name in names}
    whole = {"question": "Does it pay?", "baseline": "base", "arms": overrides, "everywhere": (), "examples": 64}
    return SuiteResults(**({"name": "suite", "runs": list(runs)} | whole | fields))


def make_whole_suite(name: str = HOSTILE) -> SuiteResults:
    """One with everything: claims, a failed run, an arm of other lists, curves, costs, a recommender, machines."""
    counts = [2] * 15 + [50] * 15
    asked, others = popular(ASKED, counts), make_asked(list(range(2, 32)))
    more: dict[str, Any] = {
        "curve": make_curve([2.0, 4.0, 8.0, 8.0]),
        "examples": 64,
        "seconds": 30.0,
        "commit": "c" * 40,
        "digests": {"lists": "d" * 64},
        "machine": {"processor": name, "cores": "2"},
    }
    runs = [make_run("base", seed, first(10), asked, first(12), **more) for seed in range(3)]
    runs += [make_run(name, seed, first(25), asked, first(12), **more) for seed in range(3)]
    runs += [make_run("other", seed, first(9), others, first(9), **more) for seed in range(3)]
    runs += [RunResult(f"suite-lost-s{seed}-0", "lost", seed, "failed", (name, "exited with 1")) for seed in range(3)]
    return make_suite(*runs, question=f"Does {name} pay?", everywhere=(f"x={name}",), notes=[f"note {name}"])
