"""One model for all: what is read together, what is refused, and that no request harms another."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from llara.serving.limits import Limits
from llara.serving.model_thread import ModelThread, Services
from llara.serving.refusals import BusyError, NotReadyError
from llara_core.errors import ArtifactError, ModelError, PromptTooLongError
from llara_core.recommending.requests import Recommendation, Request
from llara_core.recommending.service import RecommendationService
from tests.llara.serving.conftest import Serve


class Slow(RecommendationService):
    """The tiny service, which notes what it reads together and waits until it may go on."""

    def __init__(self, service: RecommendationService) -> None:
        super().__init__(service.tuned, service.models, service.calibration, service.lineage)
        self.read: list[list[Request]] = []
        self.may, self.begun = threading.Event(), threading.Event()

    def recommend_many(self, requests: Sequence[Request], *_: Any) -> list[Recommendation]:
        self.read.append(list(requests))
        self.begun.set()
        assert self.may.wait(20)
        if any(request.history == (8,) for request in requests):
            raise ZeroDivisionError("a mistake of ours")
        return super().recommend_many(requests)


@pytest.fixture
def slow(services: Services) -> Slow:
    return Slow(services["on"])


Start = Callable[..., ModelThread]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[ModelThread] = []

    def started(services: Services, *, waiting: int = 64, together: int = 4) -> ModelThread:
        made.append(ModelThread(lambda: services, waiting=waiting, together=together))
        loaded = threading.Event()
        made[-1].start(loaded.set)
        assert loaded.wait(10)
        return made[-1]

    yield started
    assert all(model.stop(10) for model in made)


def _wait_until_begun(slow: Slow) -> None:
    assert slow.begun.wait(10)


def test_those_that_wait_are_read_together_in_their_order(slow: Slow, services: Services, start: Start) -> None:
    model = start({"on": slow, "off": services["off"]})
    first = model.submit("on", Request((1,)))
    _wait_until_begun(slow)
    others = [
        model.submit(tokens, Request(history))
        for tokens, history in (("on", (2,)), ("off", (1, 5)), ("on", (3,)), ("on", (4,)), ("on", (5,)))
    ]
    slow.may.set()
    answers = [future.result(20) for future in (first, *others)]
    asked = [[request.history for request in part] for part in slow.read]
    assert asked == [[(1,)], [(2,), (3,), (4,)], [(5,)]]  # four at once, of which one is another's
    assert answers[0] == services["on"].recommend(Request((1,)))
    assert answers[2] == services["off"].recommend(Request((1, 5)))
    assert [answer.shown for answer in answers] == [(1,), (2,), (1, 5), (3,), (4,), (5,)]


def test_one_that_cannot_be_answered_harms_no_other(slow: Slow, start: Start) -> None:
    model = start({"on": slow})
    first = model.submit("on", Request((1,)))
    _wait_until_begun(slow)
    long, good = model.submit("on", Request(("long " * 2000,))), model.submit("on", Request((2,)))
    slow.may.set()
    assert first.result(20).shown == (1,)
    with pytest.raises(PromptTooLongError):
        long.result(20)
    assert good.result(20).shown == (2,)
    with pytest.raises(ZeroDivisionError):
        model.submit("on", Request((8,))).result(20)
    assert model.submit("on", Request((3,))).result(20).shown == (3,)


def test_a_request_that_was_given_up_is_not_read(slow: Slow, start: Start) -> None:
    model = start({"on": slow})
    first = model.submit("on", Request((1,)))
    _wait_until_begun(slow)
    given_up = model.submit("on", Request((2,)))
    assert given_up.cancel()
    slow.may.set()
    first.result(20)
    model.submit("on", Request((3,))).result(20)
    assert Request((2,)) not in [request for part in slow.read for request in part]


def test_what_waits_when_the_end_comes_is_answered(slow: Slow, start: Start) -> None:
    model = start({"on": slow}, together=8)
    first = model.submit("on", Request((1,)))
    _wait_until_begun(slow)
    waiting = [model.submit("on", Request((2,))) for _ in range(2)]
    threading.Timer(0.2, slow.may.set).start()  # when the end stands in the line behind them
    assert model.stop(10)
    assert [future.result(0).shown for future in (first, *waiting)] == [(1,), (2,), (2,)]


def test_a_full_line_and_a_stopping_server_take_nothing_more(slow: Slow, start: Start) -> None:
    model = start({"on": slow}, waiting=2)
    first = model.submit("on", Request((1,)))
    _wait_until_begun(slow)
    waiting = [model.submit("on", Request((2,))) for _ in range(2)]
    with pytest.raises(BusyError, match="2 requests wait already"):
        model.submit("on", Request((2,)))
    slow.may.set()
    assert model.stop(10)
    assert [future.result(0).shown for future in (first, *waiting)] == [(1,), (2,), (2,)]
    with pytest.raises(BusyError, match="about to stop"):
        model.submit("on", Request((2,)))


def test_a_model_that_cannot_be_loaded_is_told() -> None:
    def load() -> Services:
        raise ArtifactError("data/adapter: must be a folder, got none")

    loaded = threading.Event()
    model = ModelThread(load, waiting=2, together=2)
    with pytest.raises(NotReadyError):
        _ = model.services
    model.start(loaded.set)
    assert loaded.wait(10)
    assert isinstance(model.error, ArtifactError)
    assert model.stop(10)


def test_over_http_too_many_are_refused_and_late_ones_given_up(slow: Slow, serve: Serve) -> None:
    served = serve(lambda: {"on": slow}, Limits(rate=0, waiting=2, together=2, seconds=0.5))
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(served.ask, {"history": [1]})
        _wait_until_begun(slow)
        answers = [future.result() for future in [pool.submit(served.ask, {"history": [2]}) for _ in range(5)]]
        found = sorted(response.status_code for response in (*answers, first.result()))
    assert found == [503] * 3 + [504] * 3
    late = next(response for response in answers if response.status_code == 504)
    assert late.json()["error"]["message"] == "there was no answer within 0.5 s; ask again in a while"
    assert late.headers["retry-after"] == "5"
    slow.may.set()
    while (response := served.ask({"history": [3]})).status_code == 503:  # the line is being emptied
        time.sleep(0.01)
    assert response.json()["history"][0]["item_id"] == 3
    assert [len(part) for part in slow.read] == [1, 1]  # those that were given up were not read


def test_mistakes_of_ours_and_of_the_model_s_are_500(
    slow: Slow, services: Services, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow.may.set()
    served = serve(lambda: {"on": slow})
    response = served.ask({"history": [8]})
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "the server has made a mistake; its log says which"
    assert "ZeroDivisionError: " not in response.text

    def broken(*_: Any) -> list[Any]:
        raise ModelError("the language model's scores must be finite numbers, got nan")

    monkeypatch.setattr(slow, "models", replace(slow.models))
    monkeypatch.setattr(type(slow.models), "score", broken)
    response = served.ask({"history": [1]})
    assert (response.status_code, response.json()["error"]["type"]) == (500, "ModelError")
    monkeypatch.undo()
    assert served.ask({"history": [1]}).status_code == 200
