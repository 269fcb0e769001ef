"""What a report is made of: runs with their answers, and the question that they were made for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from llara_core.tables.predictions import Asked

Status = Literal["done", "failed", "not run"]


@dataclass(frozen=True)
class Answers:
    """What a run's answers to R lists count for.

    Attributes:
        asked: the lists.
        values: [R] of the metric, of the model that is reported.
        valid: [R] whether that model's answer names one candidate.
        recommender: [R] of the recommender beside it; None where the run has no answers of one.
    """

    asked: Asked
    values: np.ndarray
    valid: np.ndarray
    recommender: np.ndarray | None


@dataclass(frozen=True)
class RunResult:
    """One arm with one seed.

    Attributes:
        name: of its experiment.
        arm, seed: what it is.
        status: whether it has results.
        why: the end of its log where it failed, or what its results can't be read for.
        answers: None where it has none, or none that can be read.
        params: all of params.yaml.
        curve: rows of finetune.csv; None where a column has no value.
        examples: that it was tuned on.
        seconds: from the command's start of it to its end, with whatever it had to compute before.
        commit: of the experiment.
        digests: of lists and inputs, by name.
        machine: that it ran on, with versions of libraries.
    """

    name: str
    arm: str
    seed: int
    status: Status
    why: Sequence[str] = ()
    answers: Answers | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    curve: Sequence[Mapping[str, float | None]] = ()
    examples: int | None = None
    seconds: float | None = None
    commit: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SuiteResults:
    """A suite's runs, or the models of one evaluation as arms of one.

    Attributes:
        name: of the suite.
        question: that it asks.
        baseline: the arm that the others are compared with.
        arms: the overrides of each, by name, in order.
        everywhere: overrides of all.
        examples: that each arm was to be tuned on; None where that isn't known.
        runs: of every arm, every seed.
        notes: what a reader must know beside what the numbers say.
    """

    name: str
    question: str
    baseline: str
    arms: Mapping[str, Sequence[str]]
    everywhere: Sequence[str]
    examples: int | None
    runs: Sequence[RunResult]
    notes: Sequence[str] = ()
