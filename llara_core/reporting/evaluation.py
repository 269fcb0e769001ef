"""One evaluation as a suite of its models: each is an arm of one run, beside the recommender."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llara_core.errors import ArtifactError
from llara_core.evaluation.per_list import metric as metric_of
from llara_core.evaluation.remarks import remarks
from llara_core.evaluation.report import differences, headline
from llara_core.reporting.results import Answers, RunResult, SuiteResults
from llara_core.tables.predictions import Answered

_TUNED, _BASELINE = "llara", "recommender"
NAME = "workspace"


def answers_of(answered: Answered, model: str, metric: str, recommender: str = _BASELINE) -> Answers:
    """Take what one model's answers count for.

    Raises:
        ArtifactError: they lack the scores that the metric needs.
    """
    predictions, asked = answered.predictions, answered.asked
    beside = predictions.get(recommender) if model != recommender else None
    return Answers(
        asked,
        metric_of(metric)(predictions[model], asked),
        metric_of("valid_ratio")(predictions[model], asked),
        None if beside is None else metric_of(metric)(beside, asked),
    )


def evaluation_results(
    answered: Answered,
    metric: str,
    seed: int,
    digests: Mapping[str, str],
    curve: Sequence[Mapping[str, float | None]],
    examples: int | None,
) -> SuiteResults:
    """Return the models as arms, the best first; all that was tuned is llara's.

    Args:
        answered: the lists and every model's answers.
        metric: of which the results are.
        seed: of the run.
        digests: of lists and inputs.
        curve: of the tuning.
        examples: that it was tuned on.
    """
    runs = [_result(answered, name, metric, seed) for name in answered.predictions]
    runs.sort(key=lambda run: (-run.answers.values.mean() if run.answers else 1, run.name))
    runs = [replace(run, curve=curve, examples=examples, digests=digests) if run.arm == _TUNED else run for run in runs]
    names = [run.arm for run in runs]
    said: list[str] = []
    if _TUNED in answered.predictions:
        said = remarks({"models": headline(answered, None), "differences": differences(answered)}, answered.asked)
    return SuiteResults(
        NAME,
        "How good are the models of this checkout's last evaluation?",
        _BASELINE if _BASELINE in names else names[0],
        {name: () for name in names},
        (),
        None,
        runs,
        [f"{words}." for words in said],
    )


def _result(answered: Answered, name: str, metric: str, seed: int) -> RunResult:
    run = RunResult(f"{NAME}#{name}", name, seed, "done")
    try:
        return replace(run, answers=answers_of(answered, name, metric, recommender=""))
    except ArtifactError as error:  # the metric needs scores, and it wrote freely
        return replace(run, why=(str(error),))
