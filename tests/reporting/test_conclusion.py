"""Sentences by rule."""

import numpy as np
import pytest

from llara_core.evaluation.comparison import Counts, Difference
from llara_core.evaluation.comparison_report import Own, Pair, Report, Verdict
from llara_core.experiments.outcome import Beside, Outcome
from llara_core.reporting.conclusion import Scope, conclude
from llara_core.reporting.crossover import crossover_in_words


def _difference(mean: float, low: float | None, high: float | None) -> Difference:
    return Difference(mean, low, high, 0.01, "sign", None, Counts(3, 2, 1), Counts(3, 2, 1), 1200, 9000)


def _outcome(verdicts: dict[str, tuple[Verdict, float]], n_seeds: int, beside: list[Beside]) -> Outcome:
    owns = [Own(name, 0.5, 0.4, 0.6, [0.5] * n_seeds, None) for name in ("base", *verdicts)]
    pairs = [
        Pair(name, "base", _difference(mean, mean - 0.01, mean + 0.01), 0.01, verdict, "words")
        for name, (verdict, mean) in verdicts.items()
    ]
    return Outcome(Report("hit_ratio_at_1", 9000, 1200, owns, pairs, []), beside)


def test_every_verdict_has_its_words() -> None:
    found = _outcome(
        {
            "a": ("first", 0.0204),
            "b": ("second", -0.3),
            "c": ("undecided", 0.001),
            "d": ("first", 0.05),
            "e": ("contradictory", 0.0),
            "f": ("alike", 0.0),
            "g": ("undecided", -0.001),
        },
        3,
        [],
    )
    assert conclude(found, Scope("base", 4608, {})) == (
        "On 9,000 lists of 1,200 users, a (by 0.0204) and d (by 0.0500) are better than base; b (by 0.3000) is worse "
        "than base; c and g can't be told apart from base, which doesn't show them to be equal; f and base count alike "
        "on every list; no claim may be made about e, of which interval and test don't agree; this is about recipes "
        "tuned on 4,608 examples and tested on these lists, and not about longer training, other data or other models."
    )


@pytest.mark.parametrize(("n_seeds", "is_of_runs"), [(1, True), (2, True), (3, False)])
def test_fewer_than_three_seeds_say_nothing_of_recipes(n_seeds: int, is_of_runs: bool) -> None:
    words = conclude(_outcome({"a": ("first", 0.1)}, n_seeds, []), Scope("base", None, {}))
    assert ("this is about these very runs, of which another seed may differ" in words) == is_of_runs
    assert ("this is about recipes and tested" in words) != is_of_runs


def test_what_has_no_result_is_part_of_the_sentence() -> None:
    beside = [Beside(Own("other", 0.3, 0.2, 0.4, [0.3], None), "other lists")]
    words = conclude(_outcome({"a": ("first", 0.1)}, 3, beside), Scope("base", 64, {"lost": "failed"}))
    assert words.endswith("; lost failed and isn't judged; other can only stand beside, without a difference.")
    alone = Outcome(None, [Beside(Own("base", 0.3, 0.2, 0.4, [0.3], None), "the baseline"), *beside])
    assert conclude(alone, Scope("base", 64, {})) == (
        "Nothing may be concluded, as no arm can be paired with base; other can only stand beside, without a "
        "difference."
    )


def test_a_crossover_needs_a_claim_on_both_sides() -> None:
    above, below, open_ = _difference(0.1, 0.02, 0.2), _difference(-0.1, -0.2, -0.02), _difference(0.0, -0.1, 0.1)
    without = _difference(0.3, None, None)
    assert crossover_in_words("a", "b", {"1–4": above, "5–19": above, "20–99": open_, "100+": below}) == (
        "a and b cross: a is better on targets with 1–4 and 5–19 training interactions, and worse with 100+."
    )
    assert crossover_in_words("a", "b", {"1–4": above, "100+": without}) == (
        "No crossover shows: a is better than b on targets with 1–4 training interactions, and nowhere worse."
    )
    assert crossover_in_words("a", "b", {"1–4": open_, "100+": below}) == (
        "No crossover shows: a is worse than b on targets with 100+ training interactions, and nowhere better."
    )
    assert crossover_in_words("a", "b", {"1–4": open_, "5–19": without}) == (
        "No crossover shows: no range of popularity tells a and b apart."
    )
    touching = _difference(np.nextafter(0, 1), 0.0, 0.1)
    assert "no range" in crossover_in_words("a", "b", {"1–4": touching})
