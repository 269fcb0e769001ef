"""The whole of params.yaml: sections, selectors and the checks between them."""

from typing import Any, Self

from pydantic import model_validator

from llara_core.params.base import Section, Seed
from llara_core.params.curriculum import Curriculum
from llara_core.params.datasets import Dataset
from llara_core.params.objectives import Objectives, Recipe
from llara_core.params.projector import ADDITIVE, Fusion, Projector
from llara_core.params.recommenders import Pretrain, Recommender
from llara_core.params.sections import (
    Baselines,
    Candidates,
    Eval,
    Llm,
    Lora,
    Prompt,
    Selector,
    Split,
    Train,
)


class Params(Section):
    """Every knob of the pipeline; `selected_*` resolve the three selectors."""

    seed: Seed
    dataset: Selector
    recommender: Selector
    llm: Selector
    datasets: dict[str, Dataset]
    recommenders: dict[str, Recommender]
    llms: dict[str, Llm]
    split: Split
    candidates: Candidates
    pretrain: Pretrain
    baselines: Baselines | None
    prompt: Prompt
    projector: Projector
    fusion: Fusion
    lora: Lora
    curriculum: Curriculum
    objectives: Objectives
    train: Train
    eval: Eval

    @property
    def selected_dataset(self) -> Dataset:
        """The entry of `datasets` that `dataset.name` chooses."""
        return self.datasets[self.dataset.name]

    @property
    def selected_recommender(self) -> Recommender:
        """The entry of `recommenders` that `recommender.name` chooses."""
        return self.recommenders[self.recommender.name]

    @property
    def selected_llm(self) -> Llm:
        """The entry of `llms` that `llm.name` chooses."""
        return self.llms[self.llm.name]

    @property
    def selected_objective(self) -> Recipe:
        """The entry of `objectives` that `train.objective.name` chooses."""
        entry: Recipe = getattr(self.objectives, self.train.objective.name)
        return entry

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if problems := [
            *_unknown_selections(self),
            *_window_problems(self),
            *_prompt_problems(self),
            *_eval_problems(self),
        ]:
            raise ValueError("\n".join(problems))
        return self


def _unknown_selections(params: Params) -> list[str]:
    choices: list[tuple[str, str, dict[str, Any]]] = [
        ("dataset.name", params.dataset.name, params.datasets),
        ("recommender.name", params.recommender.name, params.recommenders),
        ("llm.name", params.llm.name, params.llms),
    ]
    return [
        f"{field} must be one of {', '.join(sorted(entries))}, got {name!r}"
        for field, name, entries in choices
        if name not in entries
    ]


def _window_problems(params: Params) -> list[str]:
    """A model that was trained on shorter inputs than it is shown would be asked about what it never saw."""
    shown = params.split.history_length
    problems = []
    for name, entry in params.recommenders.items():
        if entry.max_length < shown:
            problems.append(
                f"recommenders.{name}.window + overlap must be ≥ split.history_length {shown}, got {entry.max_length}"
            )
        if (needed := entry.encoder.options.needed_history) > shown:
            problems.append(f"recommenders.{name}.encoder.context must be ≤ split.history_length {shown}, got {needed}")
    return problems


def _prompt_problems(params: Params) -> list[str]:
    problems = []
    if params.prompt.mode == "id" and params.fusion.kind != "append":
        problems.append(
            "fusion.kind must be append for prompt.mode id, which shows no titles that a behavioural token could be "
            f"joined with, got {params.fusion.kind}"
        )
    if params.prompt.mode == "text" and params.curriculum.schedule != "text_only":
        problems.append(
            "curriculum.schedule must be text_only for prompt.mode text, which has no behavioural tokens to come in, "
            f"got {params.curriculum.schedule}"
        )
    if params.prompt.form == "chat" and params.train.objective.name == "stream":
        problems.append(
            "prompt.form must be raw for train.objective.name stream, which reads a history without any question, got "
            "chat"
        )
    return problems


def _eval_problems(params: Params) -> list[str]:
    problems = []
    if "history_removed" in params.eval.probes and params.train.objective.name == "stream":
        problems.append(
            "eval.probes must not hold history_removed for train.objective.name stream, whose answer is the state "
            "behind the latest item"
        )
    if "id" in params.eval.probes and params.fusion.kind in ADDITIVE:
        problems.append(
            f"eval.probes must not hold id for fusion.kind {params.fusion.kind}, whose behavioural tokens are added to "
            "the words of titles, and mean nothing without any"
        )
    if params.eval.method != "scoring" and params.train.objective.name != "answer":
        problems.append(
            f"eval.method must be scoring for train.objective.name {params.train.objective.name}, got "
            f"{params.eval.method}: only answer trains the language model to write titles"
        )
    trained: list[str] = [] if params.curriculum.schedule == "text_only" else [params.prompt.mode]
    if params.curriculum.schedule != "hybrid_only" or params.train.objective.name == "answer":
        trained.append("text")  # which answer's language model reads without having been tuned on it
    if (mode := params.eval.mode) not in ["as_trained", *trained]:
        problems.append(
            f"eval.mode must be one of as_trained, {', '.join(trained)}, for which curriculum.schedule and prompt.mode "
            f"train, got {mode}"
        )
    if params.eval.template >= len(params.prompt.templates):
        problems.append(
            f"eval.template must be < the {len(params.prompt.templates)} prompt.templates, got {params.eval.template}"
        )
    candidates = params.candidates
    name, n_draws = {
        "last": ("candidates.draws.test", candidates.draws.test),
        "all": ("candidates.all_positions.draws", candidates.all_positions.draws),
    }[params.eval.positions]
    if params.eval.draws > n_draws:
        problems.append(f"eval.draws must be ≤ {name} {n_draws}, got {params.eval.draws}")
    return problems
