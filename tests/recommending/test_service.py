"""What the service makes of scores: pools, rankings, probabilities, contributions, and what it refuses."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import zscore

from llara_core.errors import ModelError, RequestError
from llara_core.recommending import service as service_module
from llara_core.recommending.requests import Recommendation, Request
from llara_core.recommending.service import RecommendationService
from tests.conftest import TITLES
from tests.recommending.tiny import LENGTH, LISTS, N_ITEMS

ALL = ("llara", "recommender", "llara_with_recommender")


def _scores(answer: Recommendation, model: str) -> dict[int, float]:
    return {entry.item_id: entry.score for entry in answer.rankings[model]}


def test_unseen_items_are_ranked_by_each_model_and_by_both(service: RecommendationService) -> None:
    answer = service.recommend(Request((1, 5), seen=(7,), top=N_ITEMS))
    assert (answer.shown, answer.pool, answer.n_pool, answer.notes) == ((1, 5), "catalogue", 5, ())
    assert tuple(answer.rankings) == ALL
    for ranked in answer.rankings.values():
        assert sorted(entry.item_id for entry in ranked) == [2, 3, 4, 6, 8]
        assert [entry.title for entry in ranked] == [TITLES[entry.item_id] for entry in ranked]
        assert sorted((entry.score for entry in ranked), reverse=True) == [entry.score for entry in ranked]
    [short] = service.recommend_many([Request((1, 5), seen=(7,), top=2)])
    assert {name: ranked[:2] for name, ranked in answer.rankings.items()} == short.rankings
    pool = [2, 3, 4, 6, 8]
    ours, theirs = ([_scores(answer, name)[item] for item in pool] for name in ALL[:2])
    own = service.tuned.recommender.next_item_scores(torch.tensor([[0, 1, 5]]))[0]  # padded on the left
    assert theirs == pytest.approx(own[pool].tolist(), abs=1e-6)
    weight = service.models.weight
    assert weight is not None
    both = weight * zscore(ours) + (1 - weight) * zscore(theirs)
    assert [_scores(answer, ALL[2])[item] for item in pool] == pytest.approx(both.tolist(), abs=1e-5)


def test_both_together_lie_between_the_two(service: RecommendationService) -> None:
    """Whatever weight the tiny evaluation chose."""
    for weight, same in ((0.0, "recommender"), (1.0, "llara")):
        models = replace(service.models, weight=weight)
        own = RecommendationService(service.tuned, models, service.calibration, service.lineage)
        rankings = own.recommend(Request((1, 5), top=N_ITEMS)).rankings
        orders = {name: [entry.item_id for entry in ranked] for name, ranked in rankings.items()}
        assert orders["llara_with_recommender"] == orders[same]
    assert orders["llara"] != orders["recommender"]


@pytest.mark.parametrize("candidates", [None, (8, 2, 6)])
def test_probabilities_are_a_softmax_by_the_temperature_of_what_is_ranked(
    service: RecommendationService, candidates: tuple[int, ...] | None
) -> None:
    calibration = service.calibration.model_copy(
        update={"catalogue": dict.fromkeys(ALL, 0.5), "lists": dict.fromkeys(ALL, 2.0)}
    )
    own = RecommendationService(service.tuned, service.models, calibration, service.lineage)
    temperature = 0.5 if candidates is None else 2.0
    for ranked in own.recommend(Request((1,), candidates, top=N_ITEMS)).rankings.values():
        powers = [math.exp(entry.score / temperature) for entry in ranked]
        assert [entry.probability for entry in ranked] == pytest.approx([power / sum(powers) for power in powers])


def test_only_the_latest_items_are_read_and_none_of_the_history_is_recommended(service: RecommendationService) -> None:
    both = Request((1, 2, 3, 4), top=N_ITEMS), Request((2, 3, 4), seen=(1,), top=N_ITEMS)
    long, short = service.recommend_many(both)
    assert long.rankings == short.rankings
    assert long.shown == (2, 3, 4)
    assert long.notes == ("only the latest 3 of 4 titles are read, as in training",)
    assert 1 not in _scores(long, "llara")


def test_without_an_item_is_as_if_it_had_not_been_there(service: RecommendationService) -> None:
    answer = service.recommend(Request((1, "The Matrix", 5), (2, 3, 4), why=True))
    others = service.recommend_many(
        [Request(history, (2, 3, 4)) for history in (("The Matrix", 5), (1, 5), (1, "The Matrix"))]
    )
    for name, ranked in answer.rankings.items():
        for entry in ranked:
            assert len(entry.without) == 3
            for without, other in zip(entry.without, others, strict=True):
                assert without.score == pytest.approx(_scores(other, name)[entry.item_id], abs=1e-5)
                found = {own.item_id: own.probability for own in other.rankings[name]}
                assert without.probability == pytest.approx(found[entry.item_id], abs=1e-5)
    assert not service.recommend(Request((1, 5), (2, 3))).rankings["llara"][0].without
    alone = service.recommend(Request((1,), why=True))
    assert {entry.without for ranked in alone.rankings.values() for entry in ranked} == {(None,)}


def test_a_title_outside_the_catalogue_is_for_the_language_model_alone(service: RecommendationService) -> None:
    plain, other, another = service.recommend_many(
        [Request(history, (2, 3, 4)) for history in ((1,), (1, "The Matrix"), (1, "Speed"))]
    )
    assert plain.rankings["recommender"] == other.rankings["recommender"] == another.rankings["recommender"]
    values = [tuple(_scores(answer, "llara").values()) for answer in (plain, other, another)]
    assert len(set(values)) == 3
    known = service.recommend(Request((1, "Alien"), (2, 3, 4)))  # by its words alone, it isn't the catalogue's item
    assert _scores(known, "llara") != _scores(service.recommend(Request((1, 4), (2, 3, 4))), "llara")


def test_where_no_title_is_known_the_recommender_says_nothing(service: RecommendationService) -> None:
    answer, mixed = service.recommend_many([Request(("The Matrix",)), Request((1, "The Matrix"), (2, 3), why=True)])
    assert list(answer.rankings) == ["llara"]
    assert answer.n_pool == N_ITEMS
    assert answer.notes == ("no title of the history is in the catalogue: the recommender can't say anything",)
    for ranked in (mixed.rankings[name] for name in ALL[1:]):
        assert all(entry.without[0] is None and entry.without[1] is not None for entry in ranked)
    assert all(None not in entry.without for entry in mixed.rankings["llara"])


def test_without_an_evaluation_nothing_is_added(service: RecommendationService) -> None:
    own = RecommendationService(
        service.tuned, replace(service.models, weight=None), service.calibration, service.lineage
    )
    answer = own.recommend(Request((1,)))
    assert list(answer.rankings) == ["llara", "recommender"]
    assert answer.notes == (
        "there is no llara_with_recommender: this model has not been evaluated; run `dvc repro evaluate`",
    )


@pytest.mark.parametrize("objective", ["choice", "answer"])
def test_where_each_list_is_a_prompt_the_recommender_proposes(
    service_of: Callable[[str], RecommendationService], monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    monkeypatch.setattr(service_module, "_FIRST", 4)
    service = service_of(objective)
    answer, other = service.recommend_many([Request((1, 5)), Request((2,), seen=(3,))])
    assert (answer.pool, answer.n_pool) == ("recommender", 4)
    assert answer.notes == (
        f"the language model, trained by {objective}, chooses from a list: here the recommender's first 4",
    )
    [row] = service.models.recommender_scores([(1, 5)])
    proposed = sorted(set(range(1, N_ITEMS + 1)) - {1, 5}, key=lambda item: -row[item])[:4]
    assert [entry.item_id for entry in answer.rankings["recommender"]] == proposed
    given = service.recommend(Request((1, 5), tuple(proposed)))
    for name in ALL:
        assert _scores(answer, name) == pytest.approx(_scores(given, name), abs=1e-5)
    assert not {2, 3} & set(_scores(other, "llara"))
    with pytest.raises(RequestError, match="candidates must be given where no title of the history is in"):
        service.recommend(Request(("The Matrix",)))
    assert list(service.recommend(Request(("The Matrix",), (1, 2))).rankings) == ["llara"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(()), "a history must have at least one title, got an empty one"),
        (Request((1,), top=0), "top must be ≥ 1, got 0"),
        (Request((1, "The\nMatrix")), "a title must be one line of printable characters, got 'The\\nMatrix'"),
        (Request((1, " ")), "a title must be one line of printable characters, got ' '"),
        (Request((N_ITEMS + 1,)), f"an item's id must lie in the catalogue's 1..{N_ITEMS}, got {N_ITEMS + 1}"),
        (Request((1,), (0, 2)), f"1..{N_ITEMS}, got 0"),
        (Request((1,), seen=(-1,)), f"1..{N_ITEMS}, got -1"),
        (Request((1,), (2,)), "candidates must be at least 2 different items, got 1 of 1"),
        (Request((1,), (2, 3, 2)), "candidates must be at least 2 different items, got 2 of 3"),
        (Request((1,), ()), "candidates must be at least 2 different items, got 0 of 0"),
        (Request((1,), seen=tuple(range(2, N_ITEMS + 1))), "the catalogue must have an item that isn't in the history"),
    ],
)
def test_what_cannot_be_answered_is_refused(service: RecommendationService, request_: Request, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        service.recommend_many([Request((1,)), request_])
    assert message in str(refused.value)


def test_a_title_that_is_too_long_for_the_model_is_refused(service: RecommendationService) -> None:
    with pytest.raises(ModelError, match="must have ≤ 1024 tokens"):
        service.recommend(Request(("long " * 2000,)))
    assert service.recommend(Request((1,))).rankings  # the lock is free again


def test_a_user_s_history_is_all_that_he_had(service: RecommendationService) -> None:
    assert service.history_of("1") == tuple(LISTS[1])
    with pytest.raises(RequestError, match=r"raw_user_id\), got '6'"):
        service.history_of("6")


@pytest.mark.parametrize("tokens", ["off", "shuffled"])
def test_behavioural_tokens_can_be_taken_away(service: RecommendationService, tokens: str) -> None:
    other = service.with_tokens(tokens)
    with_tokens, without = (own.recommend(Request((1, 5))) for own in (service, other))
    assert _scores(with_tokens, "recommender") == _scores(without, "recommender")
    assert _scores(with_tokens, "llara") != _scores(without, "llara")
    assert without.notes[0].startswith("behavioural tokens are ")
    assert other.tuned.hybrid.llm is service.tuned.hybrid.llm
    assert other._lock is service._lock
    by_text = service.recommend(Request(tuple(TITLES[item] for item in (1, 5)), tuple(_scores(without, "llara"))))
    same = _scores(by_text, "llara") == pytest.approx(_scores(without, "llara"), abs=1e-5)
    assert same == (tokens == "off")


def test_threads_take_turns(service: RecommendationService) -> None:
    requests = [Request(tuple(items[:LENGTH]), why=True) for items in LISTS] * 3
    expected = [service.recommend(request) for request in requests]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(service.recommend, requests))
    assert found == expected


def test_json_holds_all_of_it(service: RecommendationService) -> None:
    answer = service.recommend(Request((1, "The Matrix"), (2, 3), why=True))
    found = answer.as_json(TITLES)
    assert found["history"] == [{"item_id": 1, "title": "Toy Story"}, {"item_id": None, "title": "The Matrix"}]
    assert found["ranked"] == {"kind": "given", "n_items": 2}
    first, own = found["rankings"]["llara"][0], answer.rankings["llara"][0]
    assert (first["rank"], first["item_id"], first["title"]) == (1, own.item_id, own.title)
    assert first["without"][0] == {"score": own.without[0].score, "probability": own.without[0].probability}
    assert np.isfinite(first["score"])
