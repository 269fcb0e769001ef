"""Runs of the shipped suites and of wrong ones: what differs between arms, what is refused."""

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides

from llara_core.errors import ParamsError
from llara_core.experiments.overrides import name_of, override
from llara_core.experiments.pipeline import stages_of
from llara_core.experiments.runs import Run, expand, n_examples
from llara_core.experiments.suites import Suite, load_suites
from llara_core.objectives.step_plan import step_settings
from llara_core.params.loading import load_params, read_plain
from llara_core.params.params import Params
from tests.conftest import ROOT

PATH = ROOT / "params.yaml"
PIPELINE, PLAIN = read_plain(ROOT / "dvc.yaml"), read_plain(PATH)
CODE = {path: path for stage in stages_of(PIPELINE, PLAIN) for path in stage.code}
SUITES = load_suites(ROOT / "experiments.yaml")


def _suite(**arms: list[str]) -> Suite:
    return Suite(
        question="?",
        minutes=10,
        examples=320,
        baseline="base",
        everywhere=["eval.probes=[]"],
        arms={"base": [], **arms},
    )


def _runs(name: str, suite: Suite, n_seeds: int = 2, minutes: float | None = None) -> list[Run]:
    return expand(name, suite, n_seeds, minutes or suite.minutes, PLAIN, PIPELINE, CODE, load_params(PATH))


def _leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {name: leaf for key, part in value.items() for name, leaf in _leaves(part, f"{prefix}{key}.").items()}
    return {prefix.rstrip("."): value}


@pytest.mark.parametrize("name", SUITES)
def test_arms_differ_in_their_own_overrides_alone(name: str) -> None:
    suite = SUITES[name]
    runs = _runs(name, suite)
    assert len(runs) == 2 * len(suite.arms)
    assert len({run.name for run in runs}) == len(runs)
    base, again = (_leaves(run.params.model_dump()) for run in runs if run.arm == suite.baseline)
    assert {key for key in base if base[key] != again[key]} == {"seed"}
    assert {n_examples(run.params) for run in runs} == {suite.examples}
    for run in runs:
        found, expected = _leaves(run.params.model_dump()), again if run.seed else base
        differing = {key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)}
        own = {name_of(text) for text in [*suite.arms[run.arm], *suite.arms[suite.baseline]]}
        assert all(_names_any(own, key) for key in differing), run.name
        assert differing or run.arm == suite.baseline
        assert run.overrides[: len(suite.everywhere)] == tuple(suite.everywhere)
        assert run.overrides[-1] == f"seed={run.seed}"
        assert {stage.params["seed"] for stage in run.stages if "seed" in stage.params} == {run.seed}


@pytest.mark.parametrize("name", SUITES)
def test_dvc_is_given_what_was_checked_and_no_arm_s_override_is_idle(name: str) -> None:
    """Of the file that `dvc exp run -S …` leaves: each stage's params, and what the arm has changed."""
    suite = SUITES[name]
    runs = _runs(name, suite, 1)
    files = {run.arm: override(PLAIN, run.overrides, run.name) for run in runs}
    base, restated = _leaves(files[suite.baseline][0]), {name_of(text) for text in suite.arms[suite.baseline]}
    for run in runs:
        plain, params = files[run.arm]
        assert params == run.params
        assert list(run.stages) == stages_of(PIPELINE, plain)
        found, own = _leaves(plain), {name_of(text) for text in suite.arms[run.arm]}
        differing = {key for key in found.keys() | base.keys() if found.get(key) != base.get(key)}
        assert all(_names_any(own | restated, key) for key in differing), run.name
        # A baseline may say what holds anyway.
        if run.arm != suite.baseline:
            assert all(any(_names_any({name}, key) for key in differing) for name in own - restated), run.name


@pytest.mark.parametrize("name", SUITES)
def test_chunks_have_room_for_the_history_that_an_arm_is_shown(name: str) -> None:
    """Finetuning refuses others; SmolLM2 takes 5.4 tokens for an item of MovieLens-100K, over all interactions."""
    for run in _runs(name, SUITES[name], 1):
        if run.params.train.objective.name == "stream":
            assert run.params.objectives.stream.chunk_tokens >= 5.4 * run.params.split.history_length, run.name


def _names_any(names: set[str], key: str) -> bool:
    """Whether one of the names is the param's, or its section's."""
    return any(key == name or key.startswith(f"{name}.") for name in names)


def test_names_say_suite_arm_seed_and_content() -> None:
    runs = _runs("toy", _suite(other=["lora.rank=4"]))
    assert [run.name[:-8] for run in runs] == ["toy-base-s0-", "toy-other-s0-", "toy-base-s1-", "toy-other-s1-"]
    assert [run.name for run in _runs("toy", _suite(other=["lora.rank=4"]))] == [run.name for run in runs]
    shorter = _runs("toy", _suite(other=["lora.rank=4"]), minutes=5)
    assert not {run.name for run in shorter} & {run.name for run in runs}
    assert {n_examples(run.params) for run in shorter} == {160}
    assert len(_runs("toy", _suite(other=["lora.rank=4"]), n_seeds=3)) == 6


@pytest.mark.parametrize(
    ("epochs", "examples", "batch_size", "expected"), [(1, 320, 16, 320), (1, 320, 256, 512), (3, 10, 16, 32)]
)
def test_examples_are_those_of_whole_steps(
    params: Params, epochs: int, examples: int, batch_size: int, expected: int
) -> None:
    """As many as the plan of the training has."""
    recipe = params.objectives.stream.model_copy(update={"examples_per_epoch": examples, "batch_size": batch_size})
    changed = params.model_copy(
        update={
            "objectives": params.objectives.model_copy(update={"stream": recipe}),
            "curriculum": params.curriculum.model_copy(update={"epochs": epochs}),
        }
    )
    settings = step_settings(changed, recipe)
    assert n_examples(changed) == expected == settings.n_steps * settings.batch_size


def test_the_baseline_comes_first() -> None:
    suite = _suite(other=["lora.rank=4"]).model_copy(update={"baseline": "other"})
    assert [run.arm for run in _runs("toy", suite, 1)] == ["other", "base"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["curriculum.epochz=3"],
            "toy.other: curriculum.epochz is no param (did you mean curriculum.epochs?), got -S curriculum.epochz=3",
        ),
        (["~xyz.abc"], "toy.other: xyz.abc is no param, got -S ~xyz.abc"),
        (["lora.rank=many"], "toy.other: lora.rank must be a whole number, got 'many'"),
        (["curriculum.schedule=step"], "toy.other: curriculum.text is missing"),
        (["lora.rank=1,2"], "toy.other: -S must be what DVC takes, got"),
        (["lora.rank"], "toy.other: -S must be what DVC takes, got"),
        (["lora.rank=range(1,4)"], "toy.other: -S must be what DVC takes, got"),
        (["seed=3"], "toy.other: seed is given by --seeds and can't be overridden, got -S seed=3"),
        (["++curriculum.epochs=3"], "toy.other: curriculum.epochs is given by the suite's examples"),
        (
            ["objectives.stream.examples_per_epoch=64"],
            "toy.other: an arm must be tuned on as many examples as the baseline base, 320, got 64",
        ),
        (
            ["objectives.stream.batch_size=256"],  # a second step would be needed, and be whole
            "toy.other: an arm must be tuned on as many examples as the baseline base, 320, got 512",
        ),
        (
            [],
            "an arm's overrides must change what a stage depends on, got the same effective params as toy.base",
        ),
        (["recommenders.gru4rec.lr=1.0e-3"], "got the same effective params as toy.base"),  # which isn't selected
        (
            ["objectives.stream.validation.patience=3"],
            "validation.patience must be ≥ times 4, or training may end before",
        ),
        (["lora.rank=8"], "got the same effective params as toy.base"),  # what it is already
        (["lora.dropout=0"], "got the same effective params as toy.base"),  # and here as well: 0.0
    ],
)
def test_unusable_arms_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        _runs("toy", _suite(other=overrides))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_equal_arms_are_refused() -> None:
    with pytest.raises(ParamsError, match="toy.second: .* got the same effective params as toy.first"):
        _runs("toy", _suite(first=["lora.rank=4"], second=["lora.rank=4", "recommenders.caser.lr=0.1"]))


def test_overrides_change_what_they_name_alone(params: Params) -> None:
    before = deepcopy(PLAIN)
    plain, changed = override(PLAIN, ["projector.kind=linear", "~projector.depth", "~projector.hidden"], "it")
    assert before == PLAIN
    assert plain["projector"] == {"kind": "linear"} == changed.projector.model_dump()
    assert changed.model_copy(update={"projector": params.projector}) == params


@pytest.mark.parametrize(
    "overrides",
    [
        ["objectives.stream.lr=1e-5", "objectives.stream.head_lr=3", "prompt.separator='; '", "eval.limit=null"],
        ["prompt.templates=['After {history}, of {candidates}:']", "eval.probes=[id,text]", "eval.untuned=true"],
        ["+llms.own={source: folder, path: /a/b, dtype: float32, attention: sdpa}", "llm.name=own"],
        ["projector.kind=transformer", "~projector.depth", "+projector.blocks=1", "++projector.heads=4"],
        ["prompt.separator='1.0'", "prompt.separator=' \u00e9\u2014 '", "dataset.name=ml-1m"],
    ],
)
def test_they_are_what_dvc_makes_of_the_file(tmp_path: Path, overrides: list[str]) -> None:
    shutil.copyfile(PATH, path := tmp_path / "params.yaml")
    apply_overrides(path, overrides)
    assert override(PLAIN, overrides, "it") == (read_plain(path), load_params(path))


def test_the_param_that_an_override_names() -> None:
    assert [name_of(text) for text in ("a.b=1", "+a.b=1", "++a.b=c=d", "~a.b", "~a.b=1")] == ["a.b"] * 5
