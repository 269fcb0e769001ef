"""What is recommended, by hand, against slow loops, and against what RecTools gave."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llara_core.evaluation.beyond_accuracy import (
    coverage,
    gini,
    intra_list_diversity,
    list_report,
    novelty,
    serendipity,
)

# Five items, had by 4, 2, 2, 1 and 0 of 4 users: popularity ranks 1, 2, 2, 3 and none; 0, 1, 1, 2 and 2 bits.
N_TRAIN = np.array([0, 4, 2, 2, 1, 0])
LISTS = np.array([[2, 1, 4], [2, 5, 1], [3, 4, 2], [4, 1, 5], [5, 4, 3]])
TARGETS = np.array([1, 5, 3, 4, 2])
VECTORS = np.array([[math.nan, 7], [1, 0], [0, 1], [1, 1], [-1, 0], [3, 4]])
INVALID = np.array([[0, 2, 0], [0, 0, 0]])

catalogues = st.integers(1, 6).flatmap(
    lambda n_items: st.tuples(
        st.lists(st.integers(0, 5), min_size=n_items, max_size=n_items),
        st.lists(
            st.tuples(st.lists(st.integers(0, n_items), min_size=3, max_size=3), st.integers(1, n_items)), min_size=1
        ),
    )
)


def test_what_rectools_gives() -> None:
    # RecTools 0.19.0 on these lists, k = 2 and 3, with a distance calculator of 1 − cosine:
    # MeanInvUserFreq, Serendipity, IntraListDiversity and CatalogCoverage(normalize=True).
    bits = {2: [0.5, 1.5, 1.5, 1.0, 2.0], 3: [1.0, 1.0, 1.3333333333333333, 1.3333333333333333, 1.6666666666666667]}
    luck = {
        2: [0.0, 0.4, 0.09999999999999998, 0.2, 0.0],
        3: [0.0, 0.26666666666666666, 0.06666666666666665, 0.13333333333333333, 0.0],
    }
    distances = {
        2: [1.0, 0.19999999999999996, 1.7071067811865475, 2.0, 1.6],
        3: [1.3333333333333333, 0.5333333333333333, 1.0, 1.3333333333333333, 1.1057190958417937],
    }
    for k in (2, 3):
        first = LISTS[:, :k]
        np.testing.assert_allclose(novelty(first, N_TRAIN, 4), bits[k])
        np.testing.assert_allclose(serendipity(first, TARGETS, N_TRAIN, 5), luck[k])
        np.testing.assert_allclose(intra_list_diversity(first, VECTORS), distances[k])
    assert (coverage(LISTS[:, :1], 5), coverage(LISTS[:4, :1], 8), coverage(LISTS[:4, :2], 8)) == (0.8, 0.375, 0.625)


def test_coverage_and_gini_count_the_whole_catalogue_and_no_invalid_answer() -> None:
    # Four items recommended 3, 1, 0 and 0 times: Σ (2i − 5) x_i = -3·0 − 1·0 + 1·1 + 3·3 = 10, over 4 · 4.
    lists = np.array([[1, 0], [1, 2], [1, 0]])
    assert coverage(lists, 4) == 2 / 4
    assert gini(lists, 4) == 10 / 16
    assert gini(np.array([[1, 2], [3, 4]]), 4) == 0
    assert gini(np.array([[3], [3], [0]]), 4) == 3 / 4
    assert coverage(INVALID[1:], 4) == 0
    with pytest.raises(ValueError, match="must hold an item, got none"):
        gini(INVALID[1:], 4)
    with pytest.raises(ValueError, match=r"must hold items 0\.\.4, got 1\.\.5"):
        coverage(np.array([[1, 5]]), 4)


@given(st.lists(st.integers(0, 8), min_size=1), st.integers(8, 12))
def test_gini_is_half_the_mean_difference_over_the_mean(items: list[int], n_items: int) -> None:
    times = [items.count(item) for item in range(1, n_items + 1)]
    if sum(times):
        difference = sum(abs(a - b) for a in times for b in times) / n_items**2
        assert gini(np.array([items]), n_items) == pytest.approx(difference / (2 * sum(times) / n_items))


def test_novelty_of_items_that_none_or_more_than_all_users_had() -> None:
    # 8 users: 16 interactions count as all of them, 0 bits; none counts as one of 8, 3 bits; 2 of 8 are 2 bits.
    n_train = np.array([0, 16, 0, 2])
    assert novelty(np.array([[1], [2], [3]]), n_train, 8).tolist() == [0, 3, 2]
    with pytest.raises(ValueError, match="n_users_train must be ≥ 1, got 0"):
        novelty(LISTS, N_TRAIN, 0)


def test_invalid_answers_are_left_out_of_novelty_and_count_among_serendipity_s_k() -> None:
    np.testing.assert_array_equal(novelty(INVALID, N_TRAIN, 4), [1, math.nan])
    # Item 2 at rank 2 is expected there by popularity. Item 4, popularity rank 3, comes second: .8 − .6, over 3.
    lists = np.array([[0, 2, 0], [0, 4, 0], [0, 0, 0]])
    np.testing.assert_allclose(serendipity(lists, np.array([2, 4, 0]), N_TRAIN, 5), [0, 0.2 / 3, 0], atol=1e-12)
    with pytest.raises(ValueError, match="n_train must have 5 numbers, padding and 4 items, got 6"):
        serendipity(lists, np.array([2, 4, 1]), N_TRAIN, 4)


@given(catalogues)
def test_novelty_and_serendipity_against_loops(
    catalogue: tuple[list[int], list[tuple[list[int], int]]],
) -> None:
    counts, examples = catalogue
    n, levels = len(counts), sorted({count for count in counts if count}, reverse=True)
    bits, luck = [], []
    for items, target in examples:
        each = [-math.log2(min(max(counts[item - 1], 1), 4) / 4) for item in items if item]
        bits.append(sum(each) / len(each) if each else math.nan)
        total = 0.0
        for rank, item in enumerate(items, 1):
            if item == target:
                popular = counts[item - 1]
                expected = (n + 1 - (levels.index(popular) + 1)) / n if popular else 0
                total += max((n + 1 - rank) / n - expected, 0)
        luck.append(total / 3)
    lists, targets, n_train = (np.array(x) for x in ([e[0] for e in examples], [e[1] for e in examples], [0, *counts]))
    np.testing.assert_allclose(novelty(lists, n_train, 4), bits, atol=1e-12)
    np.testing.assert_allclose(serendipity(lists, targets, n_train, n), luck, atol=1e-12)


def test_diversity_is_over_pairs_of_items() -> None:
    vectors = np.array([[9.0, 9], [2, 0], [5, 0], [0, 1], [0, 0]])
    # The same way 0; at right angles 1; and a vector of zeros is at 1 from all, also from itself.
    lists = np.array([[1, 2, 0], [1, 0, 3], [1, 2, 3], [4, 1, 4]])
    assert intra_list_diversity(lists, vectors).tolist() == pytest.approx([0, 1, 2 / 3, 1])
    assert vectors[0].tolist() == [9, 9]
    with pytest.raises(ValueError, match="at least 2 items in each list, got 1 in list 0"):
        intra_list_diversity(LISTS[:, :1], VECTORS)
    with pytest.raises(ValueError, match="got 1 in list 1"):
        intra_list_diversity(np.array([[1, 2], [0, 3]]), VECTORS)


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_diversity_against_a_loop_over_pairs(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(8, 3))
    lists = rng.integers(1, 8, size=(4, k))
    expected = []
    for items in lists:
        pairs = [(vectors[a], vectors[b]) for a, b in combinations(items, 2)]
        cosines = [a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in pairs]
        expected.append(1 - sum(cosines) / len(cosines))
    np.testing.assert_allclose(intra_list_diversity(lists, vectors), expected, atol=1e-12)


def test_a_report_has_all_of_it_with_users_as_clusters() -> None:
    report = list_report(LISTS, TARGETS, N_TRAIN, 5, np.array([1, 1, 2, 2, 3]), VECTORS, n_users_train=4)
    assert list(report) == [
        *("coverage", "serendipity", "serendipity_low", "serendipity_high", "gini"),
        *("novelty", "novelty_low", "novelty_high"),
        *("intra_list_diversity", "intra_list_diversity_low", "intra_list_diversity_high"),
    ]
    # Items 1 to 5 are recommended 3, 3, 2, 4 and 3 times: Σ (2i − 6) x_i = -4·2 − 2·3 + 2·3 + 4·4 = 8, over 5 · 15.
    assert (report["coverage"], report["gini"]) == (1, 8 / 75)
    # Novelties 1, 1 | 4/3, 4/3 | 5/3 with mean 19/15; without one user 13/9, 11/9 and 7/6.
    half = 4.302653 * math.sqrt(2 / 3 * sum((mean - 19 / 15) ** 2 for mean in (13 / 9, 11 / 9, 7 / 6)))
    novelties = (report["novelty"], report["novelty_low"], report["novelty_high"])
    assert half > 11 / 15  # no novelty is above 2, that of items which one of four users has
    assert novelties == pytest.approx((19 / 15, 19 / 15 - half, 2))
    # Serendipities 0, 4 | 1, 2 | 0 fifteenths with mean 7/75, without one user 3/45, 4/45 and 7/60; the lower end would
    # be below 0.
    half = 4.302653 * math.sqrt(2 / 3 * sum((mean - 7 / 75) ** 2 for mean in (3 / 45, 4 / 45, 7 / 60)))
    assert 7 / 75 - half < 0
    lucks = (report["serendipity"], report["serendipity_low"], report["serendipity_high"])
    assert lucks == pytest.approx((7 / 75, 0, 7 / 75 + half))
    # Distances add to 1.3333 + .5333 + 1 + 1.3333 + 1.1057; an end beyond 1 is not cut.
    assert report["intra_list_diversity"] == pytest.approx(5.305719 / 5)
    assert 1 < report["intra_list_diversity_high"] < 2


def test_intervals_end_where_the_numbers_do() -> None:
    # One user alone says nothing: novelty lies in 0..log2(4), serendipity in 0..1, distance in 0..2.
    report = list_report(LISTS, TARGETS, N_TRAIN, 5, np.ones(5), VECTORS, n_users_train=4)
    ends = {name: (report[f"{name}_low"], report[f"{name}_high"]) for name in ("novelty", "serendipity")}
    assert ends == {"novelty": (0, 2), "serendipity": (0, 1)}
    assert (report["intra_list_diversity_low"], report["intra_list_diversity_high"]) == (0, 2)
    alone = list_report(LISTS, TARGETS, N_TRAIN, 5, np.arange(5), n_users_train=1)
    assert (alone["novelty"], alone["novelty_low"], alone["novelty_high"]) == (0, 0, 0)


def test_a_report_leaves_out_what_cannot_be_said() -> None:
    users = np.array([1, 2])
    without = list_report(INVALID, np.array([2, 2]), N_TRAIN, 5, users)
    assert list(without) == ["coverage", "serendipity", "serendipity_low", "serendipity_high", "gini"]
    # Only the first list names an item, one of 1 bit.
    assert list_report(INVALID, np.array([2, 2]), N_TRAIN, 5, users, n_users_train=4)["novelty"] == 1
    nothing = list_report(INVALID[[1, 1]], np.array([2, 2]), N_TRAIN, 5, users, n_users_train=4)
    assert nothing == {"coverage": 0, "serendipity": 0, "serendipity_low": 0, "serendipity_high": 0}
