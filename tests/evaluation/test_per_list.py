"""Each metric of each list, worked by hand."""

import numpy as np
import pytest

from llara_core.errors import ArtifactError, ParamsError
from llara_core.evaluation.per_list import METRICS, metric
from llara_core.tables.predictions import NO_ITEM, SCORED, WHOLE, Asked, Predictions
from tests.evaluation.stored import make_asked, make_written


@pytest.fixture
def asked() -> Asked:
    return make_asked([1, 2, 3, 4])


def _scored(scores: list[list[float]], asked: Asked) -> Predictions:
    values = np.array(scores, dtype=np.float32)
    best = asked.sets.candidates[np.arange(len(values)), values.argmax(axis=1)]
    return Predictions([""] * len(values), [SCORED] * len(values), best, values)


def test_metrics_of_scores(asked: Asked) -> None:
    # The target is the first candidate: of ranks 1, 2, 3, and 2, as the tie with the best counts against it.
    predictions = _scored([[3, 2, 1], [2, 3, 1], [1, 2, 3], [3, 3, 1]], asked)
    assert predictions.matched_items[3] == asked.sets.targets[3]  # the tied one is named, and a miss all the same
    expected = {
        "hit_ratio_at_1": [1, 0, 0, 0],
        "hit_ratio_at_3": [1, 1, 1, 1],
        "ndcg_at_5": [1, 1 / np.log2(3), 0.5, 1 / np.log2(3)],
        "mrr": [1, 1 / 2, 1 / 3, 1 / 2],
        "valid_ratio": [1, 1, 1, 1],
    }
    for name, values in expected.items():
        assert METRICS[name](predictions, asked) == pytest.approx(np.array(values)), name


def test_cuts() -> None:
    asked = make_asked([1, 2, 3, 4])
    candidates = np.arange(1, 49, dtype=np.int32).reshape(4, 12)
    asked = Asked(
        type(asked.sets)(**{**vars(asked.sets), "candidates": candidates, "targets": candidates[:, 0]}),
        candidates,
    )
    scores = np.tile(np.arange(12, dtype=np.float32), (4, 1))  # the last candidate is best
    scores[:, 0] = [8.5, 6.5, 1.5, 9.5]  # above 8, 6, 1 and 9 of the others' scores 1…11: ranks 4, 6, 11, 3
    predictions = _scored(scores.tolist(), asked)
    assert METRICS["hit_ratio_at_3"](predictions, asked).tolist() == [0, 0, 0, 1]
    assert METRICS["hit_ratio_at_5"](predictions, asked).tolist() == [1, 0, 0, 1]
    assert METRICS["hit_ratio_at_10"](predictions, asked).tolist() == [1, 1, 0, 1]
    gains = np.array([1 / np.log2(5), 1 / np.log2(7), 0, 0.5])
    assert METRICS["ndcg_at_10"](predictions, asked) == pytest.approx(gains)
    assert METRICS["ndcg_at_5"](predictions, asked) == pytest.approx(gains * [1, 0, 1, 1])


def test_metrics_of_written_answers(asked: Asked) -> None:
    predictions = make_written(asked, [0, 1, None, 0])
    assert METRICS["hit_ratio_at_1"](predictions, asked).tolist() == [1, 0, 0, 1]
    assert METRICS["valid_ratio"](predictions, asked).tolist() == [1, 1, 0, 1]
    for name in set(METRICS) - {"hit_ratio_at_1", "valid_ratio"}:
        with pytest.raises(ArtifactError, match="needs the scores of all candidates, got answers that were written"):
            METRICS[name](predictions, asked)


def test_an_answer_without_a_match_is_a_miss_whatever_item_stands_there(asked: Asked) -> None:
    matched = asked.sets.targets.copy()
    predictions = Predictions([""] * 4, [WHOLE, "none", "inside", WHOLE], matched, None)
    assert METRICS["hit_ratio_at_1"](predictions, asked).tolist() == [1, 0, 1, 1]
    matched[0] = NO_ITEM
    assert METRICS["hit_ratio_at_1"](predictions, asked).tolist() == [0, 0, 1, 1]


def test_an_unknown_metric_is_answered_with_the_nearest() -> None:
    assert metric("mrr") is METRICS["mrr"]
    with pytest.raises(ParamsError, match=r"metric must be one of .*, got 'ndcg_at_1O'; did you mean ndcg_at_10\?"):
        metric("ndcg_at_1O")
    with pytest.raises(ParamsError, match=r"got 'zzz'$"):
        metric("zzz")
