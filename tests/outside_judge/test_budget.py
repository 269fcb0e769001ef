"""Limits that threads share."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock, Thread

from hypothesis import given, settings
from hypothesis import strategies as st

from llara_core.outside_judge.budget import Budget


def test_requests_are_counted_when_they_are_reserved() -> None:
    budget = Budget(2, None)
    assert [budget.reserve(10) for _ in range(3)] == [True, True, False]
    budget.settle(10, 10)
    assert not budget.reserve(10)
    assert (budget.requests, budget.tokens) == (2, 10)


def test_tokens_are_reserved_at_their_most_and_given_back() -> None:
    budget = Budget(None, 100)
    assert budget.reserve(100)
    budget.settle(100, 30)
    assert not budget.reserve(71)
    assert budget.reserve(70)
    budget.settle(70, 70)
    assert not budget.reserve(1)
    assert (budget.requests, budget.tokens) == (2, 100)


def test_one_that_does_not_fit_waits_for_those_on_their_way() -> None:
    budget, found = Budget(None, 100), []
    assert budget.reserve(60)
    waiting = Thread(target=lambda: found.append(budget.reserve(60)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    budget.settle(60, 40)
    waiting.join(5)
    assert found == [True]
    waiting = Thread(target=lambda: found.append(budget.reserve(60)))
    waiting.start()
    budget.settle(60, 60)
    waiting.join(5)
    assert found == [True, False]


def test_what_is_not_sent_costs_nothing() -> None:
    budget = Budget(1, 50)
    assert budget.reserve(50)
    budget.cancel(50)
    assert (budget.requests, budget.tokens) == (0, 0)
    assert budget.reserve(50)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), max_size=40),
    st.none() | st.integers(0, 300),
    st.none() | st.integers(0, 20),
)
def test_no_limit_is_ever_passed(costs: list[tuple[int, float]], tokens: int | None, requests: int | None) -> None:
    budget, lock, sent = Budget(requests, tokens), Lock(), list[int]()

    def ask(cost: tuple[int, float]) -> None:
        most, share = cost
        if budget.reserve(most):
            with lock:
                sent.append(round(most * share))
            budget.settle(most, round(most * share))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, costs))
    assert (budget.tokens, budget.requests) == (sum(sent), len(sent))
    assert tokens is None or sum(sent) <= tokens
    assert requests is None or len(sent) <= requests
    if tokens is None:
        assert len(sent) == min(len(costs), len(costs) if requests is None else requests)
