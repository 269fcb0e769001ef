"""Asking again, by a clock that nobody waits for."""

from collections.abc import Sequence
from threading import Event, Thread

import pytest

from llara_core.errors import EndpointError
from llara_core.outside_judge.budget import Budget
from llara_core.outside_judge.endpoint import Unanswered
from llara_core.outside_judge.patience import Pauses, Stopped, ask_patiently
from llara_core.outside_judge.replies import Reply

HEAT = Reply(answer="Heat", finish="stop", prompt_tokens=30, reply_tokens=3, model=None)
UNCOUNTED = Reply(answer="Heat", finish="stop", prompt_tokens=None, reply_tokens=None, model=None)
BROKEN = Unanswered("HTTP 500: no", may_help=True)
REFUSED = Unanswered("HTTP 400: no", may_help=False, may_cost=False)


def busy(wait: float = 0.0) -> Unanswered:
    return Unanswered("HTTP 429: slowly", may_help=True, wait=wait, is_limit=True, may_cost=False)


class Script:
    """An endpoint that answers as it is written."""

    def __init__(self, replies: Sequence[Reply | Unanswered]) -> None:
        self.replies = list(replies)

    def ask(self, prompt: str) -> Reply:
        assert prompt == "Which?"
        reply = self.replies.pop(0)
        if isinstance(reply, Unanswered):
            raise reply
        return reply


class Clock:
    """Time that goes on by sleeping alone."""

    def __init__(self) -> None:
        self.time, self.slept = 100.0, list[float]()
        self.pauses = Pauses(Event(), now=lambda: self.time, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def _ask(script: Script, clock: Clock, budget: Budget | None = None) -> Reply:
    return ask_patiently(script, "Which?", 100, budget or Budget(None, None), clock.pauses)  # type: ignore[arg-type]


def test_pauses_double_and_an_answer_ends_them() -> None:
    clock, script = Clock(), Script([BROKEN, BROKEN, BROKEN, BROKEN, HEAT, BROKEN, HEAT])
    assert _ask(script, clock) == HEAT
    assert clock.slept == [1, 2, 4, 8]
    assert _ask(script, clock) == HEAT
    assert clock.slept == [1, 2, 4, 8, 1]


def test_a_pause_that_is_asked_for_is_kept() -> None:
    clock = Clock()
    assert _ask(Script([busy(7.5), busy(), busy(0.25), HEAT]), clock) == HEAT
    assert clock.slept == [7.5, 2, 0.25]


def test_a_pause_that_is_too_long_ends_the_run() -> None:
    clock = Clock()
    with pytest.raises(EndpointError, match=r"HTTP 429: slowly; the endpoint asks to wait 3600 s: try again then"):
        _ask(Script([busy(3600)]), clock)
    assert clock.slept == []
    assert _ask(Script([busy(120), HEAT]), clock) == HEAT


@pytest.mark.parametrize("failure", [BROKEN, busy(1)])
def test_five_failures_in_a_row_end_the_run(failure: Unanswered) -> None:
    script = Script([failure] * 5 + [HEAT])
    with pytest.raises(EndpointError, match=r"HTTP \d+: \w+ \(5 attempts\)"):
        _ask(script, Clock())
    assert script.replies == [HEAT]


def test_what_asking_again_does_not_mend_is_not_asked_again() -> None:
    script = Script([REFUSED, HEAT])
    with pytest.raises(EndpointError, match="^HTTP 400: no$"):
        _ask(script, Clock())
    assert script.replies == [HEAT]


def test_where_others_get_through_a_prompt_waits_its_turn_but_does_not_fail_for_ever() -> None:
    clock = Clock()

    class Others(Script):
        def ask(self, prompt: str) -> Reply:
            clock.pauses.note_answer()
            return super().ask(prompt)

    assert _ask(Others([busy()] * 20 + [HEAT]), clock) == HEAT
    assert clock.slept == [1] * 20
    script = Others([BROKEN] * 5 + [HEAT])
    with pytest.raises(EndpointError, match="5 attempts"):
        _ask(script, clock)
    assert script.replies == [HEAT]


def test_requests_that_fail_together_are_one_failure_and_all_wait_for_it() -> None:
    clock = Clock()
    rounds = [clock.pauses.wait() for _ in range(6)]
    for sent_in in rounds:
        clock.pauses.note_failure(sent_in, BROKEN)
    clock.pauses.wait()
    assert clock.slept == [1]
    clock.pauses.note_failure(rounds[0], BROKEN)  # a straggler of the first round
    clock.pauses.note_failure(clock.pauses.wait(), BROKEN)
    assert clock.slept == [1, 1]
    clock.pauses.wait()
    assert clock.slept == [1, 1, 2]


def test_a_run_that_ends_does_not_wait() -> None:
    clock = Clock()
    clock.pauses.stop.set()
    clock.pauses.note_failure(0, busy(60))
    with pytest.raises(Stopped):
        _ask(Script([]), clock)
    assert clock.slept == []


def test_a_run_that_ends_while_one_waits_for_room_sends_nothing_more() -> None:
    budget, clock = Budget(None, 150), Clock()
    assert budget.reserve(100)
    caught = list[BaseException]()

    def wait() -> None:
        try:
            _ask(Script([]), clock, budget)
        except Stopped as stopped:
            caught.append(stopped)

    waiting = Thread(target=wait)
    waiting.start()
    waiting.join(0.05)
    clock.pauses.stop.set()
    budget.settle(100, 10)
    waiting.join(5)
    assert len(caught) == 1
    assert (budget.requests, budget.tokens) == (1, 10)


def test_every_attempt_is_a_request_and_what_may_have_been_charged_counts_in_full() -> None:
    budget = Budget(None, None)
    _ask(Script([BROKEN, busy(), HEAT]), Clock(), budget)
    assert (budget.requests, budget.tokens) == (3, 100 + 0 + 33)
    _ask(Script([UNCOUNTED]), Clock(), budget)
    assert (budget.requests, budget.tokens) == (4, 233)
    with pytest.raises(EndpointError):
        _ask(Script([REFUSED]), Clock(), budget)
    assert (budget.requests, budget.tokens) == (5, 233)


def test_the_last_request_of_a_budget_is_not_followed_by_another() -> None:
    script, budget = Script([BROKEN, BROKEN, HEAT]), Budget(2, None)
    with pytest.raises(Stopped):
        _ask(script, Clock(), budget)
    assert script.replies == [HEAT]
    assert budget.requests == 2
