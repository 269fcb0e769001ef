"""Asking again: pauses that grow, or that the endpoint asks for, and an end to it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock

from llara_core.errors import EndpointError
from llara_core.outside_judge.budget import Budget
from llara_core.outside_judge.endpoint import Endpoint, Unanswered
from llara_core.outside_judge.replies import Reply
from llara_core.runtime.logs import LOGGER

ATTEMPTS = 5
LONGEST_PAUSE = 120.0
"""Seconds; an endpoint that asks for a longer one is left for another time."""
_FIRST_PAUSE = 1.0


class Stopped(Exception):  # noqa: N818 — no error
    """This prompt is left for another time: the budget is spent, or the run is ending."""


@dataclass
class Pauses:
    """Pauses that all threads of a run keep together, for what one meets the others would meet too.

    Requests that were on their way together and fail together are one failure. There is no random part: nobody else
    keeps these pauses. `now` and `sleep` are in seconds.
    """

    stop: Event
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] | None = None
    _round: int = 0
    _in_a_row: int = 0
    _until: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def wait(self) -> int:
        """Wait until one may send, or the run is ending; return the number of the round that one sends in."""
        while (left := self._until - self.now()) > 0 and not self.stop.is_set():
            (self.sleep or self.stop.wait)(left)
        return self._round

    def note_answer(self) -> None:
        """Note that the endpoint answers."""
        with self._lock:
            self._in_a_row = 0

    def note_failure(self, sent_in: int, failure: Unanswered) -> None:
        """Let nobody send for a while, after a failure of a request of this round.

        Raises:
            EndpointError: there have been too many without an answer in between, or the pause would be too long.
        """
        with self._lock:
            if sent_in == self._round:
                self._round += 1
                self._in_a_row += 1
            if self._in_a_row >= ATTEMPTS:
                raise given_up(failure)
            pause = failure.wait or _FIRST_PAUSE * 2 ** max(0, self._in_a_row - 1)
            if pause > LONGEST_PAUSE:
                raise EndpointError(f"{failure}; the endpoint asks to wait {pause:.0f} s: try again then")
            LOGGER.info("again in %.3g s: %s", pause, failure)
            self._until = max(self._until, self.now() + pause)


def given_up(failure: Unanswered) -> EndpointError:
    """Return the error that ends asking again."""
    return EndpointError(f"{failure} ({ATTEMPTS} attempts)")


def ask_patiently(endpoint: Endpoint, prompt: str, most_tokens: int, budget: Budget, pauses: Pauses) -> Reply:
    """Ask until an answer comes.

    Every attempt is a request of the budget, and reserves `most_tokens`. What may have been charged for though no
    answer came counts as that many. A prompt is given up where it alone fails time and again; that the endpoint wants
    fewer requests isn't the prompt's fault.

    Raises:
        Stopped: the budget or the run ends first.
        EndpointError: asking again doesn't help, or hasn't.
    """
    failures = 0
    while True:
        sent_in = pauses.wait()
        if pauses.stop.is_set() or not budget.reserve(most_tokens):
            raise Stopped
        if pauses.stop.is_set():  # while it waited for room in the budget
            budget.cancel(most_tokens)
            raise Stopped
        spent = most_tokens
        try:
            reply = endpoint.ask(prompt)
            spent = most_tokens if reply.tokens is None else reply.tokens
        except Unanswered as failure:
            spent = most_tokens if failure.may_cost else 0
            if not failure.may_help:
                raise EndpointError(str(failure)) from None
            failures += not failure.is_limit
            if failures >= ATTEMPTS:
                raise given_up(failure) from None
            pauses.note_failure(sent_in, failure)
        else:
            pauses.note_answer()
            return reply
        finally:
            budget.settle(most_tokens, spent)
