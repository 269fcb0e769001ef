"""One model in one thread: requests wait for it in a bounded line, and those that wait together are read together."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Thread

from llara.serving.refusals import BusyError, NotReadyError
from llara.serving.schema import TokenSetting
from llara_core.errors import LlaraError
from llara_core.recommending.requests import Recommendation, Request
from llara_core.recommending.service import RecommendationService

Services = Mapping[TokenSetting, RecommendationService]
"""The same model by what is done to its behavioural tokens; `on` is always there."""


@dataclass(frozen=True)
class _Waiting:
    tokens: TokenSetting
    request: Request
    answer: "Future[Recommendation]"


class ModelThread:
    """Loads a model and answers with it, both in a thread of its own, so that the server answers meanwhile.

    Attributes:
        error: what loading failed with.
    """

    def __init__(self, load: Callable[[], Services], *, waiting: int, together: int) -> None:
        """Take how to load.

        Args:
            load: takes seconds; may raise.
            waiting: requests that may wait; more are refused.
            together: requests that are read together at most.
        """
        self.error: BaseException | None = None
        self._load, self._together = load, together
        self._services: Services | None = None
        self._stopping = False
        self._line: Queue[_Waiting | None] = Queue(waiting)
        self._thread = Thread(target=self._work, name="model", daemon=True)
        self._loaded: Callable[[], object] = lambda: None

    def start(self, loaded: Callable[[], object] = lambda: None) -> None:
        """Begin to load; `loaded` is called once that is over, well or not."""
        self._loaded = loaded
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether the model has been loaded."""
        return self._services is not None

    @property
    def services(self) -> Services:
        """The model.

        Raises:
            NotReadyError: it is still being loaded, or couldn't be.
        """
        if self._services is None:
            raise NotReadyError
        return self._services

    def submit(self, tokens: TokenSetting, request: Request) -> "Future[Recommendation]":
        """Put a request into the line; one that is cancelled before its turn is left out.

        Raises:
            BusyError: too many wait, or the server is about to stop.
        """
        if self._stopping:
            raise BusyError("the server is about to stop")
        entry = _Waiting(tokens, request, Future())
        try:
            self._line.put_nowait(entry)
        except Full as error:
            raise BusyError(f"{self._line.maxsize} requests wait already; ask again in a while") from error
        return entry.answer

    def stop(self, seconds: float) -> bool:
        """Answer what waits, take nothing more, and end the thread; return whether it ended within `seconds`.

        Loading isn't waited for.
        """
        self._stopping = True
        if self._services is None and self.error is None:
            return False
        try:
            self._line.put(None, timeout=seconds)
        except Full:
            return False
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._services = self._load()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.error = error
            return
        finally:
            self._loaded()
        while (first := self._line.get()) is not None:
            entries, last = self._those_waiting(first)
            for tokens in dict.fromkeys(entry.tokens for entry in entries):
                answer(self._services[tokens], [entry for entry in entries if entry.tokens == tokens])
            if last:
                return

    def _those_waiting(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """What is read together with the first, and whether nothing comes after."""
        entries = [first]
        while len(entries) < self._together:
            try:
                entry = self._line.get_nowait()
            except Empty:
                break
            if entry is None:
                return entries, True
            entries.append(entry)
        return entries, False


def answer(service: RecommendationService, entries: Sequence[_Waiting]) -> None:
    """Answer requests together; where one of them can't be answered, each alone, so that it harms no other."""
    entries = [entry for entry in entries if entry.answer.running() or entry.answer.set_running_or_notify_cancel()]
    try:
        found = service.recommend_many([entry.request for entry in entries]) if entries else []
    except LlaraError as error:
        if len(entries) == 1:
            entries[0].answer.set_exception(error)
            return
        for entry in entries:
            answer(service, [entry])
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not end the thread that all wait for
        for entry in entries:
            entry.answer.set_exception(error)
    else:
        for entry, recommendation in zip(entries, found, strict=True):
            entry.answer.set_result(recommendation)
