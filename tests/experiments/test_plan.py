"""What runs compute, one after the other and side by side, by hand."""

import pytest

from llara_core.experiments.plan import Planned, Speeds, plan, startable
from llara_core.experiments.runs import Run
from llara_core.params.params import Params


def _run(params: Params, name: str, **signatures: str) -> Run:
    return Run(name, name, 0, (), params, (), signatures)


def test_a_stage_is_computed_by_the_first_run_that_needs_it(params: Params) -> None:
    runs = [
        _run(params, "a0", pretrain="p0", finetune="f1", evaluate="e1"),
        _run(params, "b0", pretrain="p0", finetune="f2", evaluate="e2"),
        _run(params, "a1", pretrain="p1", finetune="f3", evaluate="e3"),
        _run(params, "c0", pretrain="p0", finetune="f1", evaluate="e4"),
    ]
    none: dict[str, list[str]] = {run.name: [] for run in runs}
    assert [(entry.run.name, entry.reruns) for entry in plan(runs, none)] == [
        ("a0", ("pretrain", "finetune", "evaluate")),
        ("b0", ("finetune", "evaluate")),
        ("a1", ("pretrain", "finetune", "evaluate")),
        ("c0", ("evaluate",)),
    ]
    known = none | {"a0": ["pretrain"], "b0": ["pretrain"], "c0": ["pretrain", "finetune", "evaluate"]}
    assert [entry.reruns for entry in plan(runs, known)] == [
        ("finetune", "evaluate"),
        ("finetune", "evaluate"),
        ("pretrain", "finetune", "evaluate"),
        (),
    ]


def test_runs_side_by_side_wait_for_what_another_one_computes(params: Params) -> None:
    a0, b0, a1 = (
        Planned(_run(params, name), missing, ())
        for name, missing in (
            ("a0", {"pretrain": "p0", "finetune": "f1"}),
            ("b0", {"pretrain": "p0", "finetune": "f2"}),
            ("a1", {"pretrain": "p1", "finetune": "f3"}),
        )
    )
    assert startable([a0, b0, a1], [], set()) is a0
    assert startable([b0, a1], [a0], set()) is a1  # b0 would pretrain what a0 is pretraining
    assert startable([b0], [a0, a1], set()) is None
    assert startable([b0], [a1], {"p0", "f1"}) is b0
    assert startable([b0], [a0], {"p0"}) is b0  # a run before it has computed that
    assert startable([], [a0], set()) is None


@pytest.mark.parametrize(
    ("reruns", "expected"),
    [
        (("pretrain", "finetune", "evaluate"), 30 + 0.5 * 2304),
        (("finetune",), 0.5 * 2304),
        (("evaluate",), None),
        (("pretrain",), 30.0),
    ],
)
def test_times_of_pretraining_and_finetuning_are_added(
    params: Params, reruns: tuple[str, ...], expected: float | None
) -> None:
    planned = Planned(_run(params, "a0"), {}, reruns)
    assert Speeds(30.0, 0.5, "stream", "smollm2-135m").seconds(planned) == pytest.approx(expected)


def test_what_was_not_measured_is_unknown(params: Params) -> None:
    whole = Planned(_run(params, "a0"), {}, ("pretrain", "finetune"))
    assert Speeds(None, 0.5, "stream", "smollm2-135m").seconds(whole) is None
    assert Speeds(30.0, None, "stream", "smollm2-135m").seconds(whole) is None
    assert Speeds(30.0, 0.5, "choice", "smollm2-135m").seconds(whole) is None
    assert Speeds(30.0, 0.5, "stream", "llama-2-7b").seconds(whole) is None
