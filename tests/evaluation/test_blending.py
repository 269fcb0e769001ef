"""Two models together, by hand: their scales, their sum, and the weight that validation chooses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llara_core.evaluation.blending import blend, choose_weight, standardize

Rows = list[list[float]]
RIGHT, WRONG, FLAT = [4.0, 2.0], [2.0, 4.0], [3.0, 3.0]  # about candidate 0; standardised (1, −1), (−1, 1), (0, 0)


def _weight(rows: list[tuple[list[float], list[float]]], targets: list[int] | None = None) -> float:
    """Choose for rows of the first model's scores and the second's; targets are candidate 0."""
    first, second = (np.array([row[i] for row in rows]) for i in (0, 1))
    return choose_weight(first, second, np.array(targets or [0] * len(rows)))


def test_rows_get_mean_0_and_variance_1() -> None:
    scores = np.array([[1.0, 2.0, 3.0], [-10.0, 20.0, -10.0], [5.0, 5.0, 5.0]])
    root = math.sqrt(1.5)  # 1 over the root of 2/3, which is the variance of 1, 2, 3
    half = math.sqrt(0.5)
    expected = [[-root, 0, root], [-half, 2 * half, -half], [0, 0, 0]]
    np.testing.assert_allclose(standardize(scores), expected, atol=1e-12)


@given(
    st.floats(-1e6, 1e6, width=32),
    st.integers(1, 40),
    st.sampled_from([np.float32, np.float64]),
)
def test_a_row_of_equal_scores_becomes_zeros_whatever_its_mean_is_rounded_to(
    score: float, size: int, dtype: type[np.floating]
) -> None:
    assert standardize(np.full((2, size), score, dtype)).tolist() == [[0.0] * size] * 2


def test_the_sum_is_weighted_whatever_the_scales() -> None:
    first, second = np.array([[0.0, 2.0], [7.0, 7.0]]), np.array([[300.0, 100.0], [-1.0, -3.0]])
    for weight, expected in (
        (0.0, [[1, -1], [1, -1]]),
        (0.25, [[0.5, -0.5], [0.75, -0.75]]),
        (1.0, [[-1, 1], [0, 0]]),
    ):
        np.testing.assert_allclose(blend(first, second, weight), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Right for more than half: .55, .6, …, 1 are ten, whose middle is the sixth. At .5 the two cancel.
        ([(RIGHT, WRONG)], 0.8),
        ([(RIGHT, WRONG), (RIGHT, WRONG), (WRONG, RIGHT)], 0.8),
        # Right for less than half: 0, …, .45.
        ([(WRONG, RIGHT), (WRONG, RIGHT), (RIGHT, WRONG)], 0.25),
        # Right for all 21, and wrong for all.
        ([(RIGHT, RIGHT)], 0.5),
        ([(WRONG, WRONG), (WRONG, WRONG)], 0.5),
        # A tie is a miss: all but 0 are right, .05, …, 1 with .55 in the middle; all but 1, 0, …, .95 with .5.
        ([(RIGHT, FLAT)], 0.55),
        ([(FLAT, RIGHT)], 0.5),
        ([(FLAT, FLAT), (RIGHT, FLAT)], 0.55),
    ],
)
def test_the_weight_is_the_middle_of_the_best(rows: list[tuple[list[float], list[float]]], expected: float) -> None:
    assert _weight(rows) == pytest.approx(expected)


def test_two_models_can_be_better_together() -> None:
    """Each prefers another wrong one: with equal spreads the target is first where 3w − 5/3 < 1/3 < 3w − 2/3 …

    … that is for 1/3 < w < 2/3: for .35, .4, …, .65. A second list wants more than half of the first model.
    """
    both = ([2.0, 3.0, 0.0], [2.0, 0.0, 3.0])
    assert _weight([both]) == pytest.approx(0.5)
    more = ([4.0, 2.0, 2.0], [2.0, 4.0, 2.0])
    assert _weight([both, more]) == pytest.approx(0.6)  # of .55, .6 and .65


def test_targets_stand_where_they_are_said_to() -> None:
    assert _weight([(WRONG, RIGHT)], targets=[1]) == pytest.approx(0.8)
    assert _weight([(RIGHT, WRONG), (WRONG, RIGHT)], targets=[0, 1]) == pytest.approx(0.8)
