"""What may be spent: requests and tokens, reserved before a request is sent, so that no limit is passed."""

from threading import Condition


class Budget:
    """Counts what this run spends, across threads.

    A request reserves the most that it can cost; what it has cost takes the place of that when it is known. One that
    doesn't fit waits for those on their way, which may cost less than they have reserved.
    """

    def __init__(self, requests: int | None, tokens: int | None) -> None:
        """Take the limits; None is without one."""
        self._most_requests, self._most_tokens = requests, tokens
        self._reserved, self._on_their_way = 0, 0
        self._changed = Condition()
        self.requests, self.tokens = 0, 0

    def reserve(self, tokens: int) -> bool:
        """Reserve a request of at most so many tokens; False, and nothing reserved, if a limit stands against it."""
        with self._changed:
            while True:
                if self._most_requests is not None and self.requests >= self._most_requests:
                    return False
                if self._most_tokens is None or self.tokens + self._reserved + tokens <= self._most_tokens:
                    break
                if not self._on_their_way:
                    return False
                self._changed.wait()
            self.requests += 1
            self._reserved += tokens
            self._on_their_way += 1
            return True

    def cancel(self, tokens: int) -> None:
        """Give a reservation back whose request wasn't sent."""
        with self._changed:
            self.requests -= 1
        self.settle(tokens, 0)

    def settle(self, reserved: int, spent: int) -> None:
        """Put what a request has spent in the place of what it had reserved."""
        with self._changed:
            self._reserved -= reserved
            self._on_their_way -= 1
            self.tokens += spent
            self._changed.notify_all()
