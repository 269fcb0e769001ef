"""Asking many prompts at once, storing every answer as it comes."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from threading import Event

from llara_core.errors import EndpointError
from llara_core.outside_judge.budget import Budget
from llara_core.outside_judge.endpoint import Endpoint
from llara_core.outside_judge.lists import most_tokens
from llara_core.outside_judge.patience import Pauses, Stopped, ask_patiently
from llara_core.outside_judge.settings import Settings
from llara_core.outside_judge.store import AnswerStore
from llara_core.runtime.logs import LOGGER


@dataclass(frozen=True)
class Job:
    """How prompts are asked."""

    settings: Settings
    endpoint: Endpoint
    store: AnswerStore
    budget: Budget
    pauses: Pauses

    def ask(self, prompt: str) -> bool:
        """Ask one prompt and store its answer; False if it is left for another time."""
        if self.pauses.stop.is_set():
            return False
        try:
            reply = ask_patiently(self.endpoint, prompt, most_tokens(self.settings, prompt), self.budget, self.pauses)
            self.store.add(prompt, reply)
        except Stopped:
            self.pauses.stop.set()  # a later prompt might still fit, but what is asked should be the sample's beginning
            return False
        except BaseException:
            self.pauses.stop.set()
            raise
        return True


def unanswered(prompts: Sequence[str], store: AnswerStore) -> list[str]:
    """Return the distinct prompts that have no stored answer, in their order."""
    return [prompt for prompt in dict.fromkeys(prompts) if store.get(prompt) is None]


def ask_all(
    prompts: Sequence[str],
    settings: Settings,
    endpoint: Endpoint,
    store: AnswerStore,
    budget: Budget,
    *,
    concurrency: int,
    advance: Callable[[], object],
) -> None:
    """Ask prompts, `concurrency` at once, until all are answered or the budget is spent.

    What is on its way when one fails, or when the run is interrupted, is waited for and stored: it is paid for.

    Args:
        prompts: without a stored answer, in the order of asking.
        settings: of whom, and how.
        endpoint: that is asked.
        store: open, for the answers.
        budget: of this run.
        concurrency: requests at once.
        advance: is told of each answer.

    Raises:
        EndpointError: the first prompt that can't be answered; the answers of others are stored.
    """
    job = Job(settings, endpoint, store, budget, Pauses(Event()))
    with ThreadPoolExecutor(concurrency, thread_name_prefix="ask") as pool:
        futures = [pool.submit(job.ask, prompt) for prompt in prompts]
        try:
            for future in as_completed(futures):
                if future.exception() is None and future.result():
                    advance()
        except KeyboardInterrupt:
            job.pauses.stop.set()
            LOGGER.info("ending: waiting for the replies that are on their way, which are paid for")
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    _raise_first(futures)


def _raise_first(futures: Sequence[Future[bool]]) -> None:
    """Raise what has gone wrong, an error of the endpoint's last: any other is about this machine."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise min(errors, key=lambda error: isinstance(error, EndpointError))
