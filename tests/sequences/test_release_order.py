"""Introsort against partitions worked by hand, and against recorded orders of NumPy 1.24.4's `argsort`."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llara_core.sequences.release_order import introsort, release_order


def test_sixteen_equal_keys_stay_as_they_are() -> None:
    assert introsort([5] * 16) == list(range(16))


def test_seventeen_equal_keys_are_partitioned_once() -> None:
    # The pivot, number 8, waits at place 15. Both scans stop at every key, so that 1 and 14, 2 and 13, … 7 and 8 (where
    # number 15 stands by now) are exchanged; the scans meet at 8, and the pivot comes back there. Both parts are equal
    # keys, which insertion sort leaves alone.
    assert introsort([0] * 17) == [0, 14, 13, 12, 11, 10, 9, 15, 8, 6, 5, 4, 3, 2, 1, 7, 16]


def test_the_median_of_three_is_sorted_in_place_first() -> None:
    # First (1) and middle (0) change places, then middle (now the 1) and last (0), so that number 16 is the pivot and
    # number 0 stands last. The scans exchange places 1 and 14, 2 and 13, … 7 and 8; the pivot comes to place 8. Of the
    # part behind it, 6 5 4 3 2 1 7 0, insertion sort moves number 7, a 0, before the ones 2 and 1.
    order = introsort([1, 1, 1] + [0] * 14)
    assert sorted(order[:14]) == list(range(3, 17))
    assert order == [8, 14, 13, 12, 11, 10, 9, 15, 16, 6, 5, 4, 3, 7, 2, 1, 0]


def test_the_orders_of_numpy_1_24() -> None:
    keys = [(i * i * 7 + 3 * i) % 11 for i in range(40)]
    expected = [0, 22, 20, 31, 11, 33, 9, 24, 18, 29, 13, 7, 35, 2, 27, 15, 16, 5, 4, 38]
    expected += [37, 26, 32, 21, 10, 36, 28, 39, 17, 14, 6, 3, 25, 23, 30, 12, 8, 34, 1, 19]
    assert introsort(keys) == expected


def test_keys_that_defeat_the_median_end_in_heapsort_as_in_numpy_1_24() -> None:
    # Musser's median-of-3 killer sequence, its neighbours made equal.
    half = 500
    killer = [0] * (2 * half)
    for i in range(1, half + 1):
        if i % 2:
            killer[i - 1], killer[i] = i, half + i
        killer[half + i - 1] = 2 * i
    order = np.array(introsort([key // 3 for key in killer]), dtype="<i8")
    digest = hashlib.sha256(order.tobytes()).hexdigest()
    assert digest == "5795e1ce2d9b2ff995d652b21276580a8256b1810b8f5f530e28ba3aaa22b6dc"


@given(st.lists(st.integers(0, 20), max_size=300))
def test_keys_are_sorted_and_none_is_lost(keys: list[int]) -> None:
    order = introsort(keys)
    assert [keys[i] for i in order] == sorted(keys)
    assert sorted(order) == list(range(len(keys)))


def test_users_are_sorted_each_for_itself() -> None:
    timestamps = np.array([3, 1, 2] + [0] * 17)
    order = release_order(np.array([0, 3, 20]), timestamps)
    assert order[:3].tolist() == [1, 2, 0]
    assert order[3:].tolist() == [3 + i for i in introsort([0] * 17)]
