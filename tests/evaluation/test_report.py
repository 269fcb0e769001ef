import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from llara_core.evaluation.beyond_accuracy import gini, list_report, novelty
from llara_core.evaluation.remarks import remarks
from llara_core.evaluation.report import details, headline, overlap
from llara_core.evaluation.statistics import share_with_interval
from llara_core.tables.candidates import Scope
from llara_core.tables.items import Items
from llara_core.tables.predictions import SCORED, Answered, Predictions, read_predictions, write_predictions
from tests.evaluation.stored import make_asked, make_scored, make_written

NAMES = pa.array([f"item {number}" for number in range(1, 11)])
ITEMS = Items(NAMES, NAMES, np.array([8, 0, 0, 30, 30, 30, 30, 30, 30, 1], dtype=np.int32))
VECTORS = np.eye(11, dtype=np.float32)


@pytest.fixture
def answered() -> Answered:
    """Two lists of users 1 and 2 and one of 3. By score: right, wrong, right, right, wrong; in words: two right."""
    asked = make_asked([1, 1, 2, 2, 3], [0, 1, 0, 1, 0])
    top = np.array([[1, 4], [1, 5], [5, 6], [5, 6], [1, 10]])
    scored = make_scored(asked, [1, 0, 1, 1, 0]).with_ranking(np.array([2, 2, 4, 4, 11]), top)
    return Answered(asked, {"llara": make_written(asked, [0, None, 1, 0, 2]), "recommender": scored})


def test_the_metrics_that_matter_by_hand(answered: Answered) -> None:
    found = headline(answered, None)
    assert found["lists"] == {"n_lists": 5, "n_users": 3}
    assert found["llara"]["hit_ratio_at_1"] == 0.4
    assert found["llara"]["valid_ratio"] == 0.8
    assert "ndcg_at_5" not in found["llara"]  # written freely
    entry = found["recommender"]
    assert entry["hit_ratio_at_1"] == 0.6
    assert entry["ndcg_at_5"] == pytest.approx((3 + 2 / 2) / 5)  # two targets at place 3: 1 / log2(4)
    assert entry["hit_ratio_at_1_low"] < 0.6 < entry["hit_ratio_at_1_high"]


def test_the_weight_stands_beside_what_it_weighs(answered: Answered) -> None:
    both = Answered(
        answered.asked, {**answered.predictions, "llara_with_recommender": answered.predictions["recommender"]}
    )
    assert headline(both, 0.35)["llara_with_recommender"]["weight"] == 0.35


def test_details_by_hand(answered: Answered) -> None:
    found = details(answered, ITEMS, 40, VECTORS)["models"]
    entry = found["recommender"]
    assert entry["mrr"] == pytest.approx((3 + 2 / 3) / 5)
    assert entry["hit_ratio_at_3"] == 1
    assert entry["catalogue"]["n_examples"] == 3  # each position once, whatever its draws
    assert [entry["catalogue"][f"hit_ratio_at_{k}"] for k in (1, 5, 10, 20)] == pytest.approx([0, 2 / 3, 2 / 3, 1])
    assert entry["catalogue"]["mrr"] == pytest.approx((1 / 2 + 1 / 4 + 1 / 11) / 3)
    assert entry["recommended"]["coverage"] == 5 / 10  # items 1, 4, 5, 6 and 10
    assert entry["recommended"]["intra_list_diversity"] == pytest.approx(1)
    assert entry["between_draws"]["n_pairs"] == 2
    assert entry["between_draws"]["agreement"] == 0.5
    assert [row["place"] for row in entry["by_place"]] == [1]
    assert set(entry["by_history_length"]) == {"10–19"}
    assert entry["by_target_n_train"]["20–99"]["n_lists"] == 5
    assert found["llara"]["valid_ratio_exact"] == 0.8
    assert found["llara"]["recommended"]["coverage"] == pytest.approx(3 / 10)  # items 4, 9 and 6
    assert "calibration" not in found["llara"]


def test_differences_are_paired_and_have_users_as_clusters(answered: Answered) -> None:
    found = details(answered, ITEMS, 40, VECTORS)["differences"]
    assert list(found) == ["llara - recommender"]
    # Right in words: lists 1 and 4; by score: 1, 3 and 4. So user 2 differs by −1 of two lists, the others by 0.
    entry = found["llara - recommender"]
    assert entry["difference"] == pytest.approx(-1 / 5)
    without = np.array([-1 / 3, 0, -1 / 4])  # one user
    half = stats.t.ppf(0.975, 2) * np.sqrt(2 / 3 * ((without + 1 / 5) ** 2).sum())
    assert half > 4 / 5  # a difference ends at −1
    assert (entry["low"], entry["high"]) == pytest.approx((-1, -1 / 5 + half))


def test_every_metric_can_be_computed_again_from_what_is_stored(tmp_path: Path, answered: Answered) -> None:
    write_predictions(tmp_path, answered, {})
    again = read_predictions(tmp_path)
    assert details(again, ITEMS, 40, VECTORS) == details(answered, ITEMS, 40, VECTORS)
    assert headline(again, None) == headline(answered, None)


def test_overlap_of_hits(answered: Answered) -> None:
    found = overlap(answered, "llara", "recommender")
    shares = {"both": 0.4, "only_llara": 0, "only_recommender": 0.2, "neither": 0.4, "either": 0.6}
    assert {name: found[name] for name in shares} == pytest.approx(shares)
    # Right in words: lists 1 and 4; by score: 1, 3 and 4, of users 1, 2 and 2.
    hits = {"both": [1, 0, 0, 1, 0], "only_recommender": [0, 0, 1, 0, 0], "either": [1, 0, 1, 1, 0]}
    for name, rows in hits.items():
        _, low, high = share_with_interval(np.array(rows), np.array([1, 1, 2, 2, 3]))
        assert (found[f"{name}_low"], found[f"{name}_high"]) == pytest.approx((low, high))
    assert len(found) == 3 * len(shares)


def _many(hits: dict[str, list[int]]) -> Answered:
    asked = make_asked(list(range(1, 61)))
    return Answered(asked, {name: make_scored(asked, row * (60 // len(row))) for name, row in hits.items()})


def _said(answered: Answered, scope: Scope = "last", chosen_by: str | None = None) -> list[str]:
    sets = replace(answered.asked.sets, scopes=np.full(len(answered.asked), scope, dtype=object))
    return remarks(details(answered, ITEMS, 40, VECTORS), replace(answered.asked, sets=sets, chosen_by=chosen_by))


def test_nothing_is_said_where_all_is_well() -> None:
    good = {"llara": [1] * 12, "llara_text": [0, 1, 1], "recommender": [1, 0, 0], "llara_with_recommender": [1] * 12}
    assert _said(_many(good)) == []


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"llara": [1, 0, 0]}, "HitRatio@1 0.333 .* can't be told from chance, 0.333: it answers in the right form"),
        ({"llara": [1, 0, 0, 1, 0]}, "HitRatio@1 0.400 .* can't be told from chance"),  # above, but not clearly
        ({"llara": [1, 0, 0, 0, 0, 0]}, "HitRatio@1 0.167 .* is below chance, 0.333"),
        (
            {"llara": [1], "llara_text": [1]},
            r"can't be told from llara asked without behavioural tokens: .* is \+0.000",
        ),
        ({"llara": [1], "llara_vectors_shuffled": [1]}, "can't be told .* with behavioural tokens of other items"),
        # One user of sixty more, or one less: nothing that could be told.
        (
            {"llara": [1] * 60, "llara_text": [1] * 59 + [0]},
            "can't be told from llara asked without behavioural tokens",
        ),
        (
            {"llara": [1] * 50 + [0] * 10, "llara_text": [1] * 60},
            "does worse than when it is asked without behavioural",
        ),
        ({"llara": [1] * 59 + [0], "recommender": [1] * 60}, "llara and the recommender can't be told apart"),
        ({"llara": [1, 1, 0], "recommender": [1]}, "llara is worse than the recommender alone, by -0.333"),
        ({"llara": [1], "recommender": [1]}, "llara and the recommender can't be told apart on these users"),
        (
            {"llara": [1], "llara_with_recommender": [1], "recommender": [1]},
            "llara_with_recommender and the recommender can't be told apart",
        ),
    ],
)
def test_what_may_mislead_is_said(rows: dict[str, list[int]], expected: str) -> None:
    said = _said(_many(rows))
    assert any(re.search(expected, remark) for remark in said), said


def test_more_positions_are_advised_where_there_are_more() -> None:
    undecided = _many({"llara": [1], "recommender": [1]})
    assert "eval.positions: all asks about more" in _said(undecided)[-1]
    assert "eval.positions" not in _said(undecided, "all")[-1]


def test_hard_lists_are_named_and_say_nothing_by_chance() -> None:
    rows = _many({"llara": [1, 0, 0, 0, 0, 0]})
    assert "below chance" in _said(rows)[0]
    [said] = _said(rows, chosen_by="a recommender")
    assert said.startswith("the negatives are favourites of a recommender's")


def test_an_answer_format_that_was_not_learnt_is_said(answered: Answered) -> None:
    asked = answered.asked
    poor = Answered(asked, {"llara": make_written(asked, [0, None, None, 0, 2])})
    assert _said(poor) == [
        "llara's answers name one candidate in only 60.0% of the lists: it hasn't learnt the form of an answer yet; "
        "train longer, or ask by scoring"
    ]


def test_agreement_under_shuffled_lists(answered: Answered) -> None:
    asked = answered.asked
    same: Predictions = make_scored(asked, [1, 0, 1, 1, 0])
    other = replace(same, matched_items=np.where(np.arange(5) == 0, asked.sets.candidates[:, 1], same.matched_items))
    found = details(Answered(asked, {"llara": same, "llara_candidates_shuffled": other}), ITEMS, 40, VECTORS)
    assert found["models"]["llara_candidates_shuffled"]["same_choice"]["agreement"] == 0.8


def test_values_that_tell_lists_and_models_apart() -> None:
    """Four lists whose targets stand at places 1, 2, 3 and 1; right in all but the last. User 3 has the first two."""
    items = replace(ITEMS, n_train=np.array([8, 0, 0, 30, 5, 6, 2, 3, 9, 1], dtype=np.int32))
    asked = make_asked([3, 3, 1, 2], [0, 1, 0, 0])
    targets = asked.sets.candidates[np.arange(4), [0, 1, 2, 0]]
    asked = replace(asked, sets=replace(asked.sets, targets=targets))
    scores = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2], [0, 2, 0]], dtype=np.float32) * np.log(4, dtype=np.float32)
    best = np.take_along_axis(asked.sets.candidates, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    top = np.array([[6, 9], [6, 9], [int(targets[2]), 1], [1, 4]])
    scored = Predictions([""] * 4, [SCORED] * 4, best, scores).with_ranking(np.array([7, 7, 1, 9]), top)
    entry = details(Answered(asked, {"llara": scored}), items, 40, VECTORS)["models"]["llara"]
    assert [(row["place"], row["hit_ratio_at_1"]) for row in entry["by_place"]] == [(1, 0.5), (2, 1), (3, 1)]
    sure = 16 / 18  # softmax of 2 log 4, 0 and 0
    assert entry["calibration"]["ece"] == pytest.approx(sure - 0.75)
    assert [(row["n_examples"], row["accuracy"]) for row in entry["calibration"]["bins"]] == [(4, 0.75)]
    assert entry["catalogue"]["ndcg_at_10"] == pytest.approx((1 / np.log2(10) + 1 + 1 / 3) / 3)
    first = np.array([2, 3, 0])  # of users 1, 2 and 3
    expected = list_report(top[first], targets[first], items.popularity, 10, np.array([1, 2, 3]), VECTORS, 40)
    recommended = entry["recommended"]
    assert recommended == expected
    assert recommended["serendipity"] > 0  # the first user's first item is right
    assert recommended["gini"] != pytest.approx(gini(top, 10))  # which would count the third user's twice
    assert recommended["novelty"] == pytest.approx(novelty(top[first], items.popularity, 40).mean())


def test_one_user_has_intervals_as_wide_as_can_be() -> None:
    asked = make_asked([1, 1], [0, 1])
    found = details(
        Answered(asked, {"llara": make_scored(asked, [1, 0]), "recommender": make_scored(asked, [0, 0])}),
        ITEMS,
        40,
        VECTORS,
    )
    assert found["differences"]["llara - recommender"] == {"difference": 0.5, "low": -1, "high": 1}
    assert "+0.500 [-1.000, +1.000]" in remarks(found, asked)[-1]
