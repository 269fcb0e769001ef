"""One evaluation as a suite of its models."""

import pytest

from llara_core.reporting.evaluation import evaluation_results
from llara_core.reporting.section import make_section
from llara_core.tables.predictions import Answered, Predictions
from tests.evaluation.stored import make_asked, make_scored, make_written
from tests.reporting.suites import first, make_curve

ASKED = make_asked(list(range(1, 31)))


def _answered(**hits: int) -> Answered:
    models: dict[str, Predictions] = {name: make_scored(ASKED, first(n)) for name, n in hits.items()}
    return Answered(ASKED, models)


def test_models_are_arms_beside_the_recommender() -> None:
    answered = _answered(llara=18, popularity=6, recommender=9)
    found = evaluation_results(answered, "hit_ratio_at_1", 7, {"items": "a"}, make_curve([1.0] * 4), 64)
    assert (list(found.arms), found.baseline) == (["llara", "recommender", "popularity"], "recommender")
    assert {(run.seed, run.status) for run in found.runs} == {(7, "done")}
    tuned = {run.arm: (run.examples, len(run.curve), dict(run.digests)) for run in found.runs}
    assert tuned == {"llara": (64, 4, {"items": "a"}), "recommender": (None, 0, {}), "popularity": (None, 0, {})}
    section = make_section("here", found, "hit_ratio_at_1", 200)
    rows = {row["arm"]: row for row in section.answer.tables[0].rows}
    assert [rows[name]["mean"] for name in found.arms] == pytest.approx([0.6, 0.3, 0.2])
    assert rows["llara"]["difference"] == pytest.approx(0.3)
    assert section.conclusion.startswith("On 30 lists of 30 users, llara (by 0.3000) is better than recommender; ")


def test_without_a_recommender_the_best_is_the_baseline() -> None:
    found = evaluation_results(_answered(a=3, b=5, c=5), "mrr", 0, {}, (), None)
    assert (list(found.arms), found.baseline) == (["b", "c", "a"], "b")
    assert not found.notes


def test_a_model_that_lacks_what_the_metric_needs_is_shown_so() -> None:
    written = make_written(ASKED, [0] * 30)
    answered = Answered(ASKED, {"llara": written, "recommender": make_scored(ASKED, first(9))})
    found = evaluation_results(answered, "mrr", 0, {}, (), None)
    assert list(found.arms) == ["recommender", "llara"]
    section = make_section("here", found, "mrr", 200)
    assert section.answer.tables[0].rows[1]["verdict"] == "can't be read"
    assert any("needs the scores of all candidates" in why for why in section.failures)
