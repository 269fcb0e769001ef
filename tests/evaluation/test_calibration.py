"""Scores as probabilities: bins by hand and as in scikit-learn, and the temperature that validation chooses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from llara_core.evaluation.calibration import (
    choice_confidence,
    choose_temperature,
    expected_calibration_error,
    list_probabilities,
    reliability,
)
from tests.evaluation.wilson import wilson

# In quarters: 0 and .25 | .3 and .5 | none | .8, .9 and 1, each bin with one right.
CONFIDENCE = np.array([0.9, 0.0, 0.5, 0.25, 1.0, 0.3, 0.8])
CORRECT = np.array([1, 0, 0, 1, 0, 1, 0], dtype=bool)
USERS = np.array([1, 2, 3, 4, 2, 5, 6])

judged = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


def test_probabilities_are_a_softmax_within_each_list() -> None:
    scores = np.array([[math.log(2), 0, 0], [1000, 1000, -1000]], dtype=np.float32)
    np.testing.assert_allclose(list_probabilities(scores), [[1 / 2, 1 / 4, 1 / 4], [1 / 2, 1 / 2, 0]], rtol=1e-7)
    # At half the temperature scores count twice: 4 to 1 to 1; at twice √2 to 1 to 1.
    np.testing.assert_allclose(list_probabilities(scores[:1], 0.5), [[4 / 6, 1 / 6, 1 / 6]], rtol=1e-7)
    assert choice_confidence(scores).tolist() == pytest.approx([1 / 2, 1 / 2])
    assert choice_confidence(scores[:1], 2).tolist() == pytest.approx([math.sqrt(2) / (math.sqrt(2) + 2)])


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_is_above_0(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"temperature must be > 0, got {temperature}"):
        list_probabilities(np.zeros((1, 2)), temperature)


@pytest.mark.parametrize("score", [math.inf, -math.inf, math.nan])
def test_scores_that_are_not_finite_are_no_probabilities(score: float) -> None:
    with pytest.raises(ValueError, match="scores must be finite"):
        choice_confidence(np.array([[0, score]]))


def test_bins_hold_their_upper_end_and_empty_ones_are_absent() -> None:
    rows = reliability(CONFIDENCE, CORRECT, USERS, bins=4)
    found = [(row["from"], row["to"], row["n_examples"], row["n_users"]) for row in rows]
    assert found == [(0, 0.25, 2, 2), (0.25, 0.5, 2, 2), (0.75, 1, 3, 3)]
    assert [row["confidence"] for row in rows] == pytest.approx([0.125, 0.4, 0.9])
    assert [row["accuracy"] for row in rows] == pytest.approx([1 / 2, 1 / 2, 1 / 3])
    assert (rows[2]["accuracy"], rows[2]["accuracy_low"], rows[2]["accuracy_high"]) == wilson(1 / 3, 3)


def test_a_user_s_lists_in_a_bin_are_one_cluster() -> None:
    # Two users, right in both and wrong in both of their lists: without one 0 or 1, variance 1/2 · 1/2, worth 1 list.
    right = np.array([1, 1, 0, 0], dtype=bool)
    (row,) = reliability(np.full(4, 0.55), right, np.array([7, 7, 9, 9]))
    assert (row["accuracy"], row["accuracy_low"], row["accuracy_high"]) == wilson(0.5, 1, n_users=2)
    assert (row["from"], row["to"], row["n_examples"], row["n_users"]) == (0.5, pytest.approx(0.6), 4, 2)


def test_the_expected_error_weighs_bins_by_their_lists() -> None:
    # (2 · |1/2 − .125| + 2 · |1/2 − .4| + 3 · |1/3 − .9|) / 7 = (.75 + .2 + 1.7) / 7
    assert expected_calibration_error(CONFIDENCE, CORRECT, bins=4) == pytest.approx(2.65 / 7)
    # In one bin gaps of both signs cancel: 3 right of 7, and 3.75 expected.
    assert expected_calibration_error(CONFIDENCE, CORRECT, bins=1) == pytest.approx(0.75 / 7)


@given(judged, st.integers(1, 12))
def test_bins_are_scikit_learn_s(lists: list[tuple[float, bool]], bins: int) -> None:
    confidence, correct = (np.array(column) for column in zip(*lists, strict=True))
    accuracy, mean = calibration_curve(correct, confidence, pos_label=True, n_bins=bins)
    rows = reliability(confidence, correct, np.arange(len(lists)), bins)
    np.testing.assert_allclose([row["accuracy"] for row in rows], accuracy)
    np.testing.assert_allclose([row["confidence"] for row in rows], mean, atol=1e-12)
    weights = np.array([row["n_examples"] for row in rows]) / len(lists)
    error = expected_calibration_error(confidence, correct, bins)
    assert error == pytest.approx(float(weights @ np.abs(accuracy - mean)), abs=1e-12)


def test_what_cannot_be_binned() -> None:
    with pytest.raises(ValueError, match="bins must be ≥ 1, got 0"):
        reliability(CONFIDENCE, CORRECT, USERS, bins=0)
    for wrong in (1.5, -0.5, math.nan):
        with pytest.raises(ValueError, match=r"confidence must lie in 0\.\.1"):
            expected_calibration_error(np.array([0.5, wrong]), np.array([True, True]))
    with pytest.raises(ValueError, match="confidence must not be empty"):
        expected_calibration_error(np.array([]), np.array([], dtype=bool))


def test_the_temperature_makes_a_choice_as_sure_as_it_is_right() -> None:
    # Scores 5 and 0, the first right in 3 of 4 lists: σ(5/T) = 3/4 where 5/T = ln 3.
    assert choose_temperature(np.array([[5.0, 0.0]] * 4), np.array([0, 0, 1, 0])) == pytest.approx(5 / math.log(3))
    # Of three candidates right in 1 of 2: e^x / (e^x + 2) = 1/2 where x = .01/T = ln 2.
    scores = np.array([[0.01, 0, 0], [0.01, 0, 0]], dtype=np.float32)
    assert choose_temperature(scores, np.array([0, 2])) == pytest.approx(0.01 / math.log(2), rel=1e-4)


def test_a_temperature_at_its_ends() -> None:
    # Always right: as sure as can be. Always wrong: as unsure as can be. All equal: it makes no difference.
    scores = np.array([[2.0, 0.0], [4.0, 0.0]])  # the mean distance is 3
    assert choice_confidence(scores, choose_temperature(scores, np.array([0, 0]))).tolist() == pytest.approx([1, 1])
    assert choose_temperature(scores, np.array([1, 1])) == pytest.approx(3000, rel=1e-3)
    assert choose_temperature(np.full((3, 4), 0.1, dtype=np.float32), np.array([0, 1, 2])) == 1


@given(st.integers(0, 2**32 - 1), st.floats(-2, 2))
def test_no_temperature_of_a_grid_is_better(seed: int, log_scale: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(30, 4)) * 10**log_scale
    targets = np.argmax(scores / 10**log_scale + rng.gumbel(size=(30, 4)), axis=1)

    def cross_entropy(temperature: float) -> float:
        return -float(np.log(list_probabilities(scores, temperature)[np.arange(30), targets]).mean())

    found = choose_temperature(scores, targets)
    grid = min(cross_entropy(10 ** (log_scale + step)) for step in np.linspace(-0.5, 3, 71))
    assert cross_entropy(found) <= grid + 1e-9


def test_lists_of_several_sizes_share_a_temperature() -> None:
    """What stands in columns that belong to no list doesn't count, however high it is."""
    rng = np.random.default_rng(4)
    sizes = rng.integers(2, 9, size=60)
    listed = np.arange(8) < sizes[:, None]
    scores = np.where(listed, rng.normal(size=(60, 8)) * 3, 1e6)
    targets = np.where(listed, scores / 2 + rng.gumbel(size=scores.shape), -np.inf).argmax(axis=1)

    def cross_entropy(temperature: float) -> float:
        rows = [row[:size] / temperature for row, size in zip(scores, sizes, strict=True)]
        return float(np.mean([np.log(np.exp(row).sum()) - row[i] for row, i in zip(rows, targets, strict=True)]))

    found = choose_temperature(scores, targets, listed)
    grid = found * np.exp(np.linspace(-0.5, 0.5, 101))
    assert min(map(cross_entropy, grid)) == pytest.approx(cross_entropy(found), abs=1e-9)
    assert cross_entropy(found) < min(cross_entropy(found * 0.9), cross_entropy(found * 1.1))
