"""From artifacts to rankings: the same as evaluation's, for every objective."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llara_core.params.params import Params
from llara_core.recommending.requests import Request
from llara_core.recommending.service import RecommendationService
from llara_core.runtime.paths import PREDICTIONS
from llara_core.tables.predictions import read_predictions
from tests.recommending.tiny import LENGTH, LISTS

MODELS = ("llara", "recommender", "llara_with_recommender")


@pytest.mark.parametrize("objective", ["stream", "choice", "answer"])
def test_the_stored_lists_are_ranked_as_in_the_predictions_files(
    repository_of: Callable[[str], tuple[Path, Params]],
    service_of: Callable[[str], RecommendationService],
    objective: str,
) -> None:
    stored = read_predictions(repository_of(objective)[0] / PREDICTIONS)
    sets = stored.asked.sets
    before = [LISTS[user - 1][:position] for user, position in zip(sets.user_ids, sets.positions, strict=True)]
    requests = [
        Request(tuple(history), tuple(row.tolist())) for history, row in zip(before, sets.candidates, strict=True)
    ]
    answers = service_of(objective).recommend_many(requests)
    assert len(answers) == len(sets) >= 6
    for name in MODELS:
        expected = stored.predictions[name].scores
        order = np.argsort(-expected, axis=1, kind="stable")
        ranked = [answer.rankings[name] for answer in answers]
        found = [[entry.item_id for entry in ranking] for ranking in ranked]
        assert found == np.take_along_axis(sets.candidates, order, axis=1).tolist()
        scores = [[entry.score for entry in ranking] for ranking in ranked]
        np.testing.assert_allclose(scores, np.take_along_axis(expected, order, axis=1), rtol=1e-4, atol=1e-5)
        assert [row[0] for row in found] == stored.predictions[name].matched_items.tolist()
    assert {answer.pool for answer in answers} == {"given"}
    assert all(answer.shown == tuple(history[-LENGTH:]) for answer, history in zip(answers, before, strict=True))
