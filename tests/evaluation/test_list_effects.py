"""What places, draws and orders of lists do, by hand and against loops."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llara_core.evaluation.list_effects import accuracy_by_place, draw_agreement, order_agreement
from tests.evaluation.wilson import wilson


def _interval(entry: dict[str, float], name: str) -> tuple[float, float, float]:
    return entry[name], entry[f"{name}_low"], entry[f"{name}_high"]


def _right(hits: list[int]) -> np.ndarray:
    return np.array(hits, dtype=bool)


def test_hits_by_the_target_s_place() -> None:
    # Place 1: right, wrong, right of users 1, 2, 3. Place 3: both of user 1 and none of user 2's two. None at 2 and 4.
    correct, indices = _right([1, 1, 0, 1, 1, 0, 0]), np.array([0, 2, 0, 2, 0, 2, 2])
    first, third = accuracy_by_place(correct, indices, np.array([1, 1, 2, 1, 3, 2, 2]), size=4)
    assert (first["place"], first["n_examples"], first["n_users"]) == (1, 3, 3)
    assert _interval(first, "hit_ratio_at_1") == wilson(2 / 3, 3)
    # Without one user 0 or 1: variance 1/2 · 1/2, worth one list.
    assert (third["place"], third["n_examples"], third["n_users"]) == (3, 4, 2)
    assert _interval(third, "hit_ratio_at_1") == wilson(0.5, 1, n_users=2)


@pytest.mark.parametrize("index", [-1, 4])
def test_a_place_lies_in_the_list(index: int) -> None:
    with pytest.raises(ValueError, match=r"target_indices must lie in 0\.\.3"):
        accuracy_by_place(_right([1, 1]), np.array([0, index]), np.array([1, 2]), size=4)


def test_agreement_of_draws_counts_pairs() -> None:
    # Example 8: of right, right, wrong 1 of 3 pairs agrees. Example 5: wrong twice, 1 of 1. Example 6 has no pair.
    found = draw_agreement(_right([1, 0, 1, 1, 0, 0]), np.array([8, 5, 8, 6, 8, 5]), np.array([1, 2, 1, 3, 1, 2]))
    assert (found["agreement"], found["n_pairs"], found["n_examples"], found["n_users"]) == (2 / 4, 4, 2, 2)
    # Without one user 1 or 1/3: variance 1/2 · (1/4 + 1/36) = 5/36, so they are worth .25 · 36/5 = 1.8.
    assert _interval(found, "agreement") == wilson(0.5, 1.8, n_users=2)


def test_examples_of_one_user_are_one_cluster() -> None:
    # User 1's two examples agree with themselves, user 2's two don't: variance 1/4, worth one pair, not 4.
    hits, examples = _right([1, 1, 0, 0, 1, 0, 0, 1]), np.array([1, 1, 2, 2, 3, 3, 4, 4])
    found = draw_agreement(hits, examples, np.array([1, 1, 1, 1, 2, 2, 2, 2]))
    assert (found["agreement"], found["n_pairs"], found["n_examples"], found["n_users"]) == (0.5, 4, 4, 2)
    assert _interval(found, "agreement") == wilson(0.5, 1, n_users=2)


def test_draws_without_pairs_or_of_several_users() -> None:
    with pytest.raises(ValueError, match="an example must have several draws, got one of each"):
        draw_agreement(_right([1, 0]), np.array([1, 2]), np.array([1, 1]))
    with pytest.raises(ValueError, match="example 2 must be of one user, got several"):
        draw_agreement(_right([1, 0, 1]), np.array([1, 2, 2]), np.array([1, 1, 3]))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=6, max_size=40))
def test_agreement_of_draws_against_a_loop_over_pairs(draws: list[tuple[int, bool]]) -> None:
    pairs = [a[1] == b[1] for a, b in combinations(draws, 2) if a[0] == b[0]]  # six draws of five examples have one
    examples, hits = np.array([draw[0] for draw in draws]), _right([draw[1] for draw in draws])
    found = draw_agreement(hits, examples, examples % 2)
    assert found["n_pairs"] == len(pairs)
    assert found["agreement"] == pytest.approx(sum(pairs) / len(pairs))


def test_agreement_of_orders_counts_the_same_item_and_no_invalid_answer() -> None:
    # Items 7 and 9 stay, 8 becomes 7, and two invalid answers name no item together.
    found = order_agreement(np.array([7, 8, 9, 0, 0]), np.array([7, 7, 9, 0, 4]), np.array([1, 2, 3, 4, 5]))
    assert (found["n_examples"], found["n_users"]) == (5, 5)
    assert _interval(found, "agreement") == wilson(2 / 5, 5)
