"""Differences, intervals and p values against hand-worked values, slow references and simulated users."""

import json
from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llara_core.errors import ArtifactError
from llara_core.evaluation.comparison import Counts, Difference, compare_pair, require_same_lists
from llara_core.evaluation.comparison_report import Report, Variant, describe, report
from llara_core.evaluation.significance import bootstrap_interval, holm, sign_test, spread_of_difference
from llara_core.evaluation.slices import slices_of
from llara_core.evaluation.statistics import share_with_interval
from tests.evaluation.stored import make_asked


def _compare(first: list, second: list, users: list[int], n_resamples: int = 1000) -> Difference:
    return compare_pair(
        np.array(first, float), np.array(second, float), np.array(users), np.random.default_rng(0), n_resamples
    )


def test_counts_and_mcnemar_with_one_list_a_user() -> None:
    first, second = [1, 1, 1, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1, 1, 0]
    found = _compare(first, second, list(range(8)))
    assert found.mean == 0.5
    assert (found.users, found.lists) == (Counts(5, 2, 1), Counts(5, 2, 1))
    # Of 6 discordant pairs 1 or fewer, twice: 2 · (1 + 6) / 64.
    assert (found.test, found.p) == ("McNemar", pytest.approx(14 / 64))
    assert (found.n_users, found.n_lists) == (8, 8)


def test_a_user_counts_once_by_the_sign_of_his_mean_difference() -> None:
    # Users 1 to 5: +2 −1, +1, +1 −1, −3, +1 over their lists.
    first = [1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1]
    second = [0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1]
    users = [1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 5]
    found = _compare(first, second, users)
    assert found.users == Counts(3, 1, 1)
    assert found.lists == Counts(5, 1, 5)
    assert found.mean == 0.0
    assert (found.test, found.p) == ("sign", pytest.approx(2 * (1 + 4) / 16))  # 1 or fewer of 4, twice


@pytest.mark.parametrize(("wins", "losses"), [(1, 0), (6, 0), (7, 2), (2, 7), (5, 5), (40, 21)])
def test_the_sign_test_counts_coin_throws(wins: int, losses: int) -> None:
    n, fewer = wins + losses, min(wins, losses)
    tail = sum(comb(n, k) for k in range(fewer + 1)) / 2**n
    assert sign_test(wins, losses) == pytest.approx(min(1.0, 2 * tail))


def test_without_a_discordant_list_nothing_is_claimed() -> None:
    found = _compare([1, 0, 1], [1, 0, 1], [1, 2, 3])
    assert (found.p, found.low, found.high, found.mean) == (1.0, None, None, 0.0)
    assert _compare([1, 0], [0, 0], [7, 7]).low is None  # one user says nothing of others
    assert sign_test(0, 0) == 1.0


def test_means_over_seeds_that_differ_by_rounding_alone_are_ties() -> None:
    first, second = np.array([[0.1], [0.2], [0.3]]), np.array([[0.3], [0.2], [0.1]])
    assert (first.mean(axis=0) - second.mean(axis=0)).item() != 0
    found = compare_pair(first, second, np.array([1]), np.random.default_rng(0))
    assert (found.users, found.lists) == (Counts(0, 1, 0), Counts(0, 1, 0))


def test_the_bootstrap_resamples_users_with_all_their_lists() -> None:
    totals, sizes = np.array([2.0, -1.0, 0.0, 3.0, 1.0]), np.array([2, 1, 4, 3, 2])
    low, high = bootstrap_interval(totals, sizes, np.random.default_rng(3), 2000)
    drawn = np.random.default_rng(3).integers(5, size=(2000, 5), dtype=np.int32)
    means = []
    for row in drawn:
        lists = [totals[user] / sizes[user] for user in row for _ in range(sizes[user])]
        means.append(sum(lists) / len(lists))
    # t.975 with 4 degrees of freedom is 2.776445; √(5/4) of it leaves a tail of Φ(−3.104160) = .00095413.
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.00095413, 1 - 0.00095413])), abs=1e-4)
    assert low < totals.sum() / sizes.sum() < high


def test_the_bootstrap_in_parts_is_that_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    totals, sizes = np.arange(30.0), np.arange(1, 31)
    whole = bootstrap_interval(totals, sizes, np.random.default_rng(0), 500)
    monkeypatch.setattr("llara_core.evaluation.significance._CELLS_AT_ONCE", 30 * 64)
    assert bootstrap_interval(totals, sizes, np.random.default_rng(0), 500) == whole


def test_holm_by_hand() -> None:
    # 4 · .01, then max(.04, 3 · .011), 2 · .03, and max(.06, 1 · .04)
    assert holm([0.03, 0.01, 0.04, 0.011]) == pytest.approx([0.06, 0.04, 0.06, 0.04])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_the_spread_of_one_run_is_that_between_users() -> None:
    # test_intervals' example: differences 1, 1 | 0 | 0 of users with 2, 1, 1 lists.
    spread = spread_of_difference(np.array([[1.9, 0.5, 0.25]]), np.array([[-0.1, 0.5, 0.25]]), np.array([2, 1, 1]))
    assert spread.variance == pytest.approx(0.375**2)
    assert spread.freedom == pytest.approx(2)
    assert spread.interval(0.5) == pytest.approx((0.5 - 4.302653 * 0.375, 0.5 + 4.302653 * 0.375))
    assert spread.p(4.302653 * 0.375) == pytest.approx(0.05)


def test_the_spread_over_users_and_seeds_by_hand() -> None:
    # Paired differences by seed and user: [[.9, .5], [.3, .1]]; of users' means .6, .3 and seeds' means .7, .2.
    first, second = np.array([[1.0, 0.5], [0.5, 0.1]]), np.array([[0.1, 0.0], [0.2, 0.0]])
    spread = spread_of_difference(first, second, np.array([1, 1]))
    users, seeds = 0.045 / 2, 0.125 / 2
    both = 4 * 0.05**2 / 1 / 4  # what remains is ±.05 everywhere, with (2 − 1)(2 − 1) degrees of freedom
    variance = users + seeds - both
    assert spread.variance == pytest.approx(variance)
    assert spread.freedom == pytest.approx(variance**2 / (users**2 + seeds**2))


def test_degrees_of_freedom_do_not_fall_towards_zero() -> None:
    # Differences by seed and user: [[−1, −2], [−1, 1], [0, −2]] of 1 and 2 lists; of seeds' means −1, 0, −2/3, and of
    # users' averages −2/3, −1. V_users is 2 · 2/81 / 9, V_seeds 7/81, V_both 76/729: V is V_users alone, but
    # Satterthwaite divides by V_seeds too: 16 / (16 / 1 + 63² / 2) = .008.
    first, second = [[0, 0, 0], [0, 1, 1], [0, 0, 0]], [[1, 1, 1], [1, 1, 0], [0, 1, 1]]
    spread = spread_of_difference(
        np.array([[0, 0], [0, 2], [0, 0]]), np.array([[1, 2], [1, 1], [0, 2]]), np.array([1, 2])
    )
    assert spread.variance == pytest.approx(4 / 729)
    assert spread.freedom == 1  # of min(2 users − 1, 3 seeds − 1)
    found = _compare(first, second, [0, 1, 1])
    # t.975 of 1 is 12.706205; the lower end would be at −1.497, where no difference can be.
    assert (found.low, found.high) == pytest.approx((-1, -5 / 9 + 12.706205 * 2 / 27), abs=1e-6)
    assert _compare(second, first, [0, 1, 1]).high == 1
    many = np.random.default_rng(0).random((3, 30)) - 0.5
    many -= many.mean(axis=0) * (1 - 1e-6)  # all users' averages are alike, so that V is next to nothing
    assert spread_of_difference(many, np.zeros((2, 30)), np.ones(30)).freedom == 1  # of 29, 2 and 1
    assert spread_of_difference(many, np.zeros((1, 30)), np.ones(30)).freedom == 2  # one run counts for nothing


def test_fewer_than_20_users_have_students_interval_and_20_the_bootstraps() -> None:
    for n_users, by_t in ((19, True), (20, False)):
        first = [1.0] * 6 + [0.0] * (n_users - 6)
        found = _compare(first, [0.0] * n_users, list(range(n_users)))
        resampled = bootstrap_interval(np.array(first), np.ones(n_users, int), np.random.default_rng(0), 1000)
        half = stats.t.ppf(0.975, n_users - 1) * np.std(first, ddof=1) / n_users**0.5
        student = (6 / n_users - half, 6 / n_users + half)
        assert resampled != pytest.approx(student, abs=1e-3)
        assert (found.low, found.high) == pytest.approx(student if by_t else resampled)


def test_unequal_numbers_of_seeds_add_up_and_one_run_has_no_spread() -> None:
    sizes, rng = np.array([2, 1, 3, 2]), np.random.default_rng(0)
    three, two, one = (
        rng.random((3, 4)) + np.arange(3)[:, None],
        rng.random((2, 4)) + np.array([[0], [2]]),
        rng.random((1, 4)),
    )
    users = [
        spread_of_difference(a.mean(0)[None], b.mean(0)[None], sizes).variance for a, b in ((three, two), (three, one))
    ]
    of_three = spread_of_difference(three, one, sizes).variance - users[1]
    of_two = (
        spread_of_difference(two, one, sizes).variance - spread_of_difference(two.mean(0)[None], one, sizes).variance
    )
    assert of_three > 0
    assert of_two > 0
    assert spread_of_difference(three, two, sizes).variance == pytest.approx(users[0] + of_three + of_two)


def test_seeds_widen_the_interval_and_a_claim_needs_both_tests() -> None:
    rng = np.random.default_rng(0)
    users = np.arange(60).repeat(2)
    base = (rng.random(120) < 0.5).astype(float)
    first = np.stack([np.clip(base + (rng.random(120) < chance), 0, 1) for chance in (0.1, 0.5, 0.9)])
    found = compare_pair(first, base, users, rng)
    alone = compare_pair(first.mean(axis=0), base, users, rng)
    assert found.high - found.low > 2 * (alone.high - alone.low)
    assert alone.p < 1e-6  # every user's mean rose, but the seeds hardly agree by how much
    assert found.p == found.p_pooled > alone.p
    assert alone.p_pooled is None


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_swapping_negates_the_difference_and_keeps_p(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 60))
    n_seeds = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    first, second = (rng.integers(0, 3, (seeds, n)) / 2 for seeds in n_seeds)
    users = rng.integers(0, data.draw(st.integers(1, 40)), n)
    one, other = (
        compare_pair(*pair, users, np.random.default_rng(1), 200) for pair in ((first, second), (second, first))
    )
    assert one.mean == pytest.approx(-other.mean)
    assert one.p == pytest.approx(other.p)
    assert 0 <= one.p <= 1
    assert (one.low is None) == (other.low is None)
    if one.low is not None:
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert (one.users.wins, one.lists.ties) == (other.users.losses, other.lists.ties)


def _simulate(
    rng: np.random.Generator, effect: float, n_seeds: int, seed_sd: float, n_runs: int = 2000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[runs, S, 95 · 5] hits of two variants, first − second being `effect`, and the user of each list.

    Users differ, also in what they gain from the first; seeds have an effect on all users, and on each; the chance of
    a hit is a sum of uniform effects, which stays within 0..1, so that `effect` is the truth itself.
    """

    def uniform(half: float, *shape: int) -> np.ndarray:
        return rng.uniform(-half, half, shape).astype(np.float32)

    common = 0.45 + uniform(0.15, n_runs, 1, 95, 1) + uniform(0.05, n_runs, 1, 95, 5)
    gain = uniform(0.1, n_runs, 1, 95, 1)
    hits = []
    for sign in (1, -1):
        chance = common + sign * (effect / 2 + gain / 2) + uniform(seed_sd * 3**0.5, n_runs, n_seeds, 1, 1)
        chance = chance + uniform(0.1, n_runs, n_seeds, 95, 1)
        assert chance.min() >= 0
        assert chance.max() <= 1
        hits.append((rng.random((n_runs, n_seeds, 95, 5), dtype=np.float32) < chance).reshape(n_runs, n_seeds, -1))
    return hits[0].astype(np.float32), hits[1].astype(np.float32), np.arange(95).repeat(5)


def test_the_bootstrap_covers_the_truth() -> None:
    first, second, users = _simulate(np.random.default_rng(1), 0.06, 1, 0.0)
    rng = np.random.default_rng(2)
    found = [compare_pair(*pair, users, rng, 500) for pair in zip(first, second, strict=True)]
    covered = np.mean([entry.low <= 0.06 <= entry.high for entry in found])
    assert 0.93 <= covered <= 0.97
    assert np.mean([entry.low > 0 for entry in found]) > 0.3  # and isn't so wide that it shows nothing
    # Half of the misses on either side, and the mean is where it should be.
    assert 0.01 < np.mean([entry.low > 0.06 for entry in found]) < 0.04
    assert np.mean([entry.mean for entry in found]) == pytest.approx(0.06, abs=0.003)


def test_false_alarms_of_test_and_bootstrap_are_rare() -> None:
    first, second, users = _simulate(np.random.default_rng(3), 0.0, 1, 0.0)
    rng = np.random.default_rng(4)
    found = [compare_pair(*pair, users, rng, 500) for pair in zip(first, second, strict=True)]
    assert np.mean([entry.low > 0 or entry.high < 0 for entry in found]) <= 0.06
    assert 0.02 <= np.mean([entry.p < 0.05 for entry in found]) <= 0.06
    ones = zip(first[:1000, :, ::5], second[:1000, :, ::5], strict=True)
    one = [compare_pair(*pair, users[::5], rng, 100) for pair in ones]
    assert {entry.test for entry in one} == {"McNemar"}
    assert 0.015 <= np.mean([entry.p < 0.05 for entry in one]) <= 0.06


def test_mcnemar_over_lists_would_give_false_alarms_where_users_agree_with_themselves() -> None:
    # A user's 5 lists tell the same story: what the test over users holds, one over lists breaks.
    rng = np.random.default_rng(5)
    story = rng.choice([-1.0, 0.0, 1.0], size=(1000, 95)).repeat(5, axis=1)
    users = np.arange(95).repeat(5)
    found = [compare_pair(row, np.zeros(475), users, rng, 100) for row in story]
    assert np.mean([entry.p < 0.05 for entry in found]) <= 0.06
    assert np.mean([sign_test(entry.lists.wins, entry.lists.losses) < 0.05 for entry in found]) > 0.2


@pytest.mark.parametrize(("n_seeds", "seed_sd"), [(3, 0.02), (3, 0.04), (5, 0.02)])
def test_intervals_over_users_and_seeds_cover_the_truth(n_seeds: int, seed_sd: float) -> None:
    first, second, users = _simulate(np.random.default_rng(6), 0.03, n_seeds, seed_sd)
    rng = np.random.default_rng(7)
    found = [compare_pair(*pair, users, rng) for pair in zip(first, second, strict=True)]
    covered = np.mean([entry.low <= 0.03 <= entry.high for entry in found])
    assert 0.93 <= covered <= 0.97
    averaged = (first.mean(axis=1) - second.mean(axis=1)).reshape(len(first), 95, 5).mean(axis=2)
    half = stats.t.ppf(0.975, 94) * averaged.std(axis=1, ddof=1) / 95**0.5
    assert np.mean(abs(averaged.mean(axis=1) - 0.03) <= half) < 0.9  # as users alone do not


def test_false_alarms_over_seeds_are_rare() -> None:
    first, second, users = _simulate(np.random.default_rng(8), 0.0, 3, 0.03, 1000)
    rng = np.random.default_rng(9)
    found = [compare_pair(*pair, users, rng) for pair in zip(first, second, strict=True)]
    assert np.mean([entry.p < 0.05 for entry in found]) <= 0.06
    over_users = [sign_test(entry.users.wins, entry.users.losses) < 0.05 for entry in found]
    assert np.mean(over_users) > 0.1  # which takes the seeds for the variants


def test_lists_that_differ_are_refused_by_name() -> None:
    asked = make_asked([1, 1, 2], [0, 1, 0])
    require_same_lists(asked, make_asked([1, 1, 2], [0, 1, 0]), ("A", "B"))
    with pytest.raises(ArtifactError, match="A and B must have been asked about the same lists, got 3 and 2 lists"):
        require_same_lists(asked, make_asked([1, 1], [0, 1]), ("A", "B"))
    draws = replace(asked, sets=replace(asked.sets, draws=np.array([0, 1, 4])))
    with pytest.raises(ArtifactError, match=r"got draw 0 and 4 in row 2 \(A's example 20, user 2, draw 0\)"):
        require_same_lists(asked, draws, ("A", "B"))
    candidates = asked.sets.candidates.copy()
    candidates[1, 2] = 9
    moved = replace(draws, sets=replace(draws.sets, candidates=candidates))
    with pytest.raises(ArtifactError, match=r"got candidates\[2\] 4 and 9 in row 1 \(A's example 10, user 1, draw 1\)"):
        require_same_lists(asked, moved, ("A", "B"))
    fewer = replace(asked, sets=replace(asked.sets, candidates=candidates[:, :2]))
    with pytest.raises(ArtifactError, match="got 3 and 2 candidates a list"):
        require_same_lists(asked, fewer, ("A", "B"))
    require_same_lists(asked, replace(asked, n_train=asked.n_train + 1), ("A", "B"))


def test_slices_by_hand() -> None:
    asked = make_asked([1, 2, 3, 4, 5, 6])
    popularity = np.full((6, 3), 7, dtype=np.int32)
    popularity[:, 0] = [0, 1, 4, 5, 99, 100]  # of the target, which stands first
    asked = replace(asked, sets=replace(asked.sets, positions=np.array([1, 4, 5, 9, 10, 100])), n_train=popularity)
    rows = {
        name: {label: np.flatnonzero(mask).tolist() for label, mask in masks.items()}
        for name, masks in slices_of(asked).items()
    }
    assert rows == {
        "history_length": {"1–4": [0, 1], "5–9": [2, 3], "10–19": [4], "100+": [5]},
        "target_n_train": {"0 (cold)": [0], "1–4": [1, 2], "5–19": [3], "20–99": [4], "100+": [5]},
    }


def _variant(name: str, values: list, users: list[int]) -> Variant:
    return Variant(name, make_asked(users), np.atleast_2d(np.array(values, float)))


def test_slices_hold_their_own_lists_and_one_user_has_no_interval() -> None:
    first, second = _variant("A", [1, 0.5, 0.5, 0.75], [1, 2, 3, 4]), _variant("B", [0, 0.75, 0.5, 0.5], [1, 2, 3, 4])
    asked = replace(first.asked, sets=replace(first.asked.sets, positions=np.array([3, 10, 10, 10])))
    found = (
        report([replace(part, asked=asked) for part in (first, second)], "mrr", with_slices=True, seed=0)
        .pairs[0]
        .slices
    )
    short, long = found["history_length"]["1–4"], found["history_length"]["10–19"]
    assert (short.mean, short.low, short.n_users, short.n_lists) == (1.0, None, 1, 1)
    assert (long.mean, long.n_users, long.lists) == (0.0, 3, Counts(1, 1, 1))
    assert long.low == pytest.approx(-0.25 * stats.t.ppf(0.975, 2) / 3**0.5)  # of −.25, 0, .25
    assert list(found["history_length"]) == ["1–4", "10–19"]


def test_verdicts_in_words() -> None:
    users = list(range(40))
    poor, good = _variant("poor", [0] * 40, users), _variant("good", [1] * 30 + [0] * 10, users)
    found = report([poor, good], "hit_ratio_at_1", with_slices=False, seed=0)
    assert found.pairs[0].verdict == "second"
    assert found.pairs[0].words.startswith("good is better than poor by 0.7500 on 40 users (95 % interval +0.6")
    assert found.pairs[0].slices == {}
    mixed = _variant("mixed", [1] * 28 + [0] * 12, users)
    assert (
        report([good, mixed], "mrr", with_slices=False, seed=0)
        .pairs[0]
        .words.startswith("good and mixed cannot be told apart on 40 users: the interval of the difference holds 0 (")
    )
    same = report([good, replace(good, name="same")], "mrr", with_slices=False, seed=0)
    assert same.pairs[0].words == "good and same count alike on every list."
    # 28 users lose a little and 12 win a lot: the mean rises clearly, and most users lose, as the test sees.
    lopsided, even = _variant("lopsided", [0.45] * 28 + [1] * 12, users), _variant("even", [0.5] * 40, users)
    pair = report([lopsided, even], "mrr", with_slices=False, seed=0).pairs[0]
    assert pair.difference.mean == pytest.approx(0.115)
    assert pair.difference.low > 0
    assert pair.p_holm < 0.05
    assert pair.verdict == "contradictory"
    assert pair.words.startswith("No claim about lopsided and even on 40 users: the interval and the test")
    # 5 of 5 discordant users: the interval excludes 0, the test has p = 1/16.
    few = _variant("few", [1] * 5 + [0] * 35, users)
    pair = report([few, poor], "mrr", with_slices=False, seed=0).pairs[0]
    assert (pair.difference.low > 0, pair.p_holm, pair.verdict) == (True, 1 / 16, "contradictory")


def test_a_report_of_three_corrects_for_three_pairs() -> None:
    users = list(range(30))
    a, b, c = (_variant(name, [1] * n + [0] * (30 - n), users) for name, n in (("a", 26), ("b", 20), ("c", 8)))
    found = report([a, b, c], "hit_ratio_at_1", with_slices=False, seed=0)
    assert [(pair.first, pair.second) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    p_values = [2 / 2**6, 2 / 2**18, 2 / 2**12]
    assert [pair.difference.p for pair in found.pairs] == pytest.approx(p_values)
    assert [pair.p_holm for pair in found.pairs] == pytest.approx([p_values[0], 3 * p_values[1], 2 * p_values[2]])


def test_seeds_are_averaged_and_their_spread_is_told() -> None:
    users = [1, 2, 3, 4]
    seeds = _variant("s", [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], users)
    found = report([seeds, _variant("one", [0, 0, 1, 0], users)], "hit_ratio_at_1", with_slices=False, seed=0)
    own = found.variants[0]
    assert own.seed_means == [0.75, 0.25, 0.5]
    assert own.seed_sd == pytest.approx(0.25)
    assert own.mean == pytest.approx(0.5)
    assert found.variants[1].seed_sd is None
    assert found.pairs[0].difference.mean == pytest.approx(0.25)
    assert found.notes == ["One run each of one: another seed of it may differ by more than the intervals say."]
    again = _variant("again", [[1, 0, 1, 0]] * 2, users)
    assert [note.split(":")[0] for note in report([seeds, again], "mrr", with_slices=False, seed=0).notes] == [
        "Runs 1 and 2 of again count alike on every list",
        "Two runs of again hardly show their spread",
    ]
    one, other = [1, 0, 1, 0], [0, 0, 1, 1]
    for rows, runs in (([one, other, one], "1 and 3"), ([other, one, one], "2 and 3")):
        assert report([seeds, _variant("twice", rows, users)], "mrr", with_slices=False, seed=0).notes == [
            f"Runs {runs} of twice count alike on every list: are they one run, named twice?"
        ]


def _report_of(*values: list, names: str = "abc") -> Report:
    """Compare variants on lists of one user each."""
    users = list(range(len(np.atleast_2d(values[0])[0])))
    variants = [_variant(name, rows, users) for name, rows in zip(names, values, strict=False)]
    return report(variants, "hit_ratio_at_1", with_slices=False, seed=0)


def test_a_verdict_looks_at_p_after_the_correction() -> None:
    # a beats b and c on 6 users each, and nothing else: p = 2 / 2^6 is below .05, and three times that isn't.
    a, b, c = [1] * 12 + [0] * 18, [1] * 6 + [0] * 24, [0] * 6 + [1] * 6 + [0] * 18
    pairs = _report_of(a, b, c).pairs
    assert [pair.difference.p for pair in pairs] == pytest.approx([1 / 32, 1 / 32, 1])
    assert [pair.p_holm for pair in pairs] == pytest.approx([3 / 32, 3 / 32, 1])
    assert pairs[0].difference.low > 0
    assert pairs[1].difference.low > 0
    assert [pair.verdict for pair in pairs] == ["contradictory", "contradictory", "undecided"]
    assert _report_of(a, b).pairs[0].verdict == "first"


@pytest.mark.parametrize(
    # 3 or fewer of 14, twice: 2 · (1 + 14 + 91 + 364) / 2^14; 5 or fewer of 20: 2 · 21700 / 2^20.
    ("wins", "losses", "p", "verdict"),
    [(11, 3, 940 / 2**14, "contradictory"), (15, 5, 43400 / 2**20, "first")],
)
def test_the_level_is_five_percent(wins: int, losses: int, p: float, verdict: str) -> None:
    rest = 40 - wins - losses
    pair = _report_of([1] * wins + [0] * losses + [0] * rest, [0] * wins + [1] * losses + [0] * rest).pairs[0]
    assert 0.04 < p < 0.06
    assert pair.p_holm == pytest.approx(p)
    assert pair.difference.low > 0
    assert pair.verdict == verdict


def test_a_variants_own_interval_by_hand() -> None:
    def own(*values: list) -> tuple[float, float, float]:
        found = _report_of(list(values), [0] * len(values[0])).variants[0]
        return found.mean, found.low, found.high

    # Wilson's of 3 of 4: (.75 + z²/8 ± z √(.75 · .25 / 4 + z² / 64)) / (1 + z²/4).
    assert own([1, 1, 0, 1]) == pytest.approx((0.75, 0.300642, 0.954413), abs=1e-6)
    # And of all, and none, of 40, be it by one seed or by three: z² / (40 + z²) = .087622 from the end.
    for n_seeds in (1, 3):
        assert own(*[[1] * 40] * n_seeds) == pytest.approx((1, 1 - 0.087622, 1), abs=1e-6)
        assert own(*[[0] * 40] * n_seeds) == pytest.approx((0, 0, 0.087622), abs=1e-6)
    # Seeds that differ: .5, .5, 1, 1 have a standard deviation of √(1/12), and t.975 of 3 is 3.182446.
    assert own([1, 0, 1, 1], [0, 1, 1, 1]) == pytest.approx((0.75, 0.75 - 3.182446 * (1 / 12) ** 0.5 / 2, 1), abs=1e-6)


def test_hard_negatives_are_noted_and_explain_why_lists_differ() -> None:
    def hard(name: str, chosen_by: str) -> Variant:
        variant = _variant(name, [1, 0, 1], [1, 2, 3])
        return replace(variant, asked=replace(variant.asked, chosen_by=chosen_by))

    found = report([hard("a", "x"), hard("b", "x")], "mrr", with_slices=False, seed=0)
    assert found.notes[0].startswith("The negatives are favourites of a recommender's: its own row says nothing of how")
    one, other = hard("a", "x"), hard("b", "y")
    swapped = replace(other.asked.sets, candidates=other.asked.sets.candidates[:, ::-1].copy())
    other = replace(other, asked=replace(other.asked, sets=swapped))
    with pytest.raises(ArtifactError, match="same lists, got .*: hard negatives are a recommender's own"):
        require_same_lists(one.asked, other.asked, ("a", "b"))
    with pytest.raises(ArtifactError, match=r"draw 0\)$"):
        require_same_lists(one.asked, replace(other.asked, chosen_by="x"), ("a", "b"))


def test_users_who_are_all_alike_give_no_interval() -> None:
    """Their spread is 0, which says nothing of a thirteenth user: half of all values may be right by chance."""
    found = _report_of([0.5] * 12, [1 / 3] * 12, [0.5] * 11 + [0.25])
    assert [(own.low, own.high) for own in found.variants[:2]] == [(None, None)] * 2
    assert found.variants[2].low < found.variants[2].mean < found.variants[2].high
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["variants"][0]["low"] is None


def test_a_variant_s_own_interval_is_that_between_users() -> None:
    own = describe(_variant("A", [0.5, 0.5, 0.4, 0.4, 0.3, 0.3], [1, 1, 2, 2, 3, 3]))
    half = 4.302653 * 0.1 / 3**0.5  # Student's t of three users, whose means are .5, .4 and .3
    assert (own.mean, own.low, own.high) == pytest.approx((0.4, 0.4 - half, 0.4 + half), abs=1e-6)
    hits, users = [1, 1, 0, 0, 1, 1, 0, 0], [1, 1, 2, 2, 3, 3, 4, 4]
    own = describe(_variant("B", hits, users))
    assert (own.mean, own.low, own.high) == share_with_interval(np.array(hits), np.array(users))
    assert own.low is not None
    assert own.low < describe(_variant("B", hits, list(range(8)))).low


def test_slices_are_the_first_variants_where_training_counts_differ() -> None:
    first, second = _variant("A", [1, 1, 0], [1, 2, 3]), _variant("B", [0, 1, 0], [1, 2, 3])
    second = replace(second, asked=replace(second.asked, n_train=np.full_like(second.asked.n_train, 3)))
    for variants, labels in (((first, second), ["20–99"]), ((second, first), ["1–4"])):
        found = report(variants, "mrr", with_slices=True, seed=0)
        assert list(found.pairs[0].slices["target_n_train"]) == labels
        note = f"Training counts differ between variants: slices are {variants[0].name}'s."
        assert note in found.notes
    # Those of every pair: two pairs' slices of one name hold the same lists.
    for alone in (False, True):
        found = report((first, second, second), "mrr", with_slices=True, seed=0, with_first_alone=alone)
        assert {tuple(pair.slices["target_n_train"]) for pair in found.pairs} == {("20–99",)}
