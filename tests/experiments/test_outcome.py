"""Arms against the baseline: by the seeds that both have, and only on the same lists."""

from dataclasses import replace

import numpy as np
import pytest

from llara_core.evaluation.comparison_report import Variant
from llara_core.experiments.outcome import Outcome, compare_arms
from llara_core.tables.predictions import Asked
from tests.evaluation.stored import make_asked

ASKED = make_asked(list(range(1, 31)))


def _arm(name: str, hits: dict[int, int], asked: Asked = ASKED) -> Variant:
    """One that hits the first so many of 30 lists, by seed."""
    values = np.stack([np.arange(30) < n for n in hits.values()]).astype(float)
    return Variant(name, asked, values, tuple(hits))


def _compare(*arms: Variant) -> Outcome:
    return compare_arms(arms, "base", "hit_ratio_at_1", 0, 200)


def test_every_arm_is_compared_with_the_baseline_alone() -> None:
    found = _compare(_arm("base", {0: 10, 1: 10}), _arm("a", {0: 25, 1: 25}), _arm("b", {0: 10, 1: 10}))
    assert found.compared
    assert [(pair.first, pair.second) for pair in found.compared.pairs] == [("a", "base"), ("b", "base")]
    assert [pair.difference.mean for pair in found.compared.pairs] == pytest.approx([0.5, 0])
    first = found.compared.pairs[0]
    assert first.p_holm == pytest.approx(min(1.0, 2 * first.difference.p))  # of two comparisons, not of three pairs
    assert not found.beside


def test_runs_are_paired_by_seed() -> None:
    found = _compare(_arm("base", {0: 6, 1: 12, 2: 18}), _arm("a", {2: 21, 0: 9}), _arm("b", {0: 6, 1: 12, 2: 21}))
    assert found.compared
    differences = {pair.first: pair.difference.mean for pair in found.compared.pairs}
    assert differences == pytest.approx({"a": 3 / 30, "b": 1 / 30})
    assert found.compared.variants[0].seed_means == pytest.approx([0.2, 0.4, 0.6])
    assert found.compared.notes[-1] == "a and base are compared by common seeds: 0, 2."
    paired = next(pair.difference for pair in found.compared.pairs if pair.first == "a")
    assert paired.lists.losses == 0
    # Both seeds differ by the same: paired in another order, they would differ by .5 and −.3.
    assert paired.high is not None
    assert paired.low is not None
    assert paired.high - paired.low < 0.3


def test_one_common_seed_is_one_run() -> None:
    """However many either has."""
    found = _compare(_arm("base", {0: 6, 1: 7, 2: 8}), _arm("a", {2: 20, 3: 21, 4: 22}))
    assert found.compared
    assert found.compared.notes == [
        "a and base are compared by one common seed, 2: another may differ by more than the interval says."
    ]
    assert found.compared.pairs[0].difference.p_pooled is None


def test_other_lists_are_shown_beside() -> None:
    others = make_asked(list(range(2, 32)))
    found = _compare(_arm("base", {0: 6}), _arm("a", {0: 9}, others), _arm("b", {0: 12}))
    assert found.compared
    assert [pair.first for pair in found.compared.pairs] == ["b"]
    assert [(entry.own.name, entry.own.mean) for entry in found.beside] == [("a", pytest.approx(0.3))]
    assert found.beside[0].why.startswith("base and a must have been asked about the same lists, got user_id 1 and 2")
    alone = _compare(_arm("base", {0: 6}), _arm("a", {0: 9}, others))
    assert alone.compared is None
    assert [(entry.own.name, entry.why[:12]) for entry in alone.beside] == [
        ("base", "the baseline"),
        ("a", "base and a m"),
    ]


def test_numbers_of_examples_are_names() -> None:
    """Another number of validation users shifts them."""
    shifted = replace(ASKED, sets=replace(ASKED.sets, example_ids=ASKED.sets.example_ids + 7))
    found = _compare(_arm("base", {0: 6}), _arm("a", {0: 9}, shifted))
    assert found.compared
    assert found.compared.pairs[0].difference.mean == pytest.approx(0.1)
    merged = replace(ASKED, sets=replace(ASKED.sets, example_ids=np.minimum(ASKED.sets.example_ids, 290)))
    assert _compare(_arm("base", {0: 6}), _arm("a", {0: 9}, merged)).compared is None


def test_without_the_baseline_or_a_common_seed_nothing_is_paired() -> None:
    found = _compare(_arm("a", {0: 9}), _arm("b", {0: 12}))
    assert found.compared is None
    assert [entry.why for entry in found.beside] == ["the baseline base has no finished run that can be read"] * 2
    found = _compare(_arm("base", {0: 6}), _arm("a", {1: 9}))
    assert found.compared is None
    assert found.beside[1].why == "no seed of it and of base is finished"
    assert _compare() == Outcome(None, [])
