"""One call of `llara ask-api`: which lists, what is stored of their answers, what is left, and the verdict."""

from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from llara_core.errors import RequestError
from llara_core.outside_judge.asking import ask_all, unanswered
from llara_core.outside_judge.budget import Budget
from llara_core.outside_judge.endpoint import Endpoint
from llara_core.outside_judge.judging import Verdict, conclude, read_stored, require_free, rows_beside
from llara_core.outside_judge.lists import Estimate, Lists, choose_lists, most_tokens
from llara_core.outside_judge.settings import Settings
from llara_core.outside_judge.store import AnswerStore, answers_directory, other_ways
from llara_core.params.params import Params
from llara_core.runtime.paths import CANDIDATES, PREDICTIONS, PROCESSED, RECOMMENDER
from llara_core.tables.candidates import Scope
from llara_core.tables.lineage import Lineage
from llara_core.tables.predictions import Asked, Predictions
from llara_core.tables.processed import Processed


@dataclass(frozen=True)
class Sample:
    """Which of the stored lists: of `positions` (last or all), `draws` of each, `limit` in all, drawn by `seed`."""

    positions: Scope
    draws: int
    limit: int | None
    seed: int


@dataclass(frozen=True)
class Session:
    """What is asked of whom.

    Attributes:
        settings: of whom, and how.
        row: what the model's row is called.
        dataset: whose titles are in the prompts.
        tables: the catalogue and sequences.
        lists: in their stored order, with prompts.
        asked: the same, as evaluation has them.
        beside: the evaluation's rows on these lists.
        store: of answers.
        notes: what should be said beforehand.
    """

    settings: Settings
    row: str
    dataset: str
    tables: Processed
    lists: Lists
    asked: Asked
    beside: dict[str, Predictions]
    store: AnswerStore
    notes: list[str]

    def left(self) -> list[str]:
        """Return the prompts without an answer, in the order of asking."""
        return unanswered(self.lists.in_order(), self.store)

    def n_first(self) -> int:
        """Count the answered lists before the first one in the order of asking that isn't."""
        prompts = self.lists.in_order()
        return next((n for n, prompt in enumerate(prompts) if self.store.get(prompt) is None), len(prompts))

    def ask(self, left: list[str], endpoint: Endpoint, budget: Budget, concurrency: int) -> None:
        """Ask what is left, as far as the budget goes.

        Raises:
            RequestError: the budget is too small for the first prompt, or another run is asking.
            EndpointError: the endpoint doesn't answer.
        """
        with (
            self.store.open() as store,
            tqdm(total=len(left), desc=f"ask {self.row}", unit="prompt") as bar,
        ):
            left = unanswered(left, store)
            ask_all(left, self.settings, endpoint, store, budget, concurrency=concurrency, advance=bar.update)

    def conclude(self) -> Verdict | None:
        """Judge the answers; None while there aren't all."""
        replies = [reply for prompt in self.lists.prompts if (reply := self.store.get(prompt)) is not None]
        if len(replies) < len(self.asked):
            return None
        return conclude(self.row, self.settings, replies, self.asked, self.tables.items.titles_by_id, self.beside)

    @property
    def lineage(self) -> Lineage:
        """Digests of what the predictions are made from."""
        return {**self.tables.lineage, "candidates": self.asked.sets.digest, "settings": self.settings.digest}

    def require_room(self, max_tokens: int | None, left: list[str]) -> None:
        """Refuse a budget that not even the first prompt fits into.

        Raises:
            RequestError: naming the least that does.
        """
        least = most_tokens(self.settings, left[0]) if left else 0
        if max_tokens is not None and max_tokens < least:
            raise RequestError(
                f"--max-tokens must be ≥ {least}, which the next prompt and its reply may have, got {max_tokens}"
            )

    def estimate(self) -> Estimate:
        """Estimate what is left."""
        return Estimate.of(self.settings, self.left())


def open_session(params: Params, settings: Settings, sample: Sample, row: str | None) -> Session:
    """Read the stored lists, the evaluation's rows and earlier answers; nothing is sent.

    Raises:
        ArtifactError: what earlier stages left is missing or damaged.
        RequestError: there are no such lists, or the row's name is taken.
    """
    tables, stored = read_stored(PROCESSED, RECOMMENDER, CANDIDATES)
    lists = choose_lists(params, tables, stored.sets, sample.positions, sample.draws, sample.limit, sample.seed)
    asked = Asked.of(lists.sets, tables.items, stored.chosen_by)
    beside, why = rows_beside(PREDICTIONS, asked)
    name = settings.row if row is None else row
    require_free(name, beside)
    folder: Path = answers_directory()
    notes = ([] if why is None else [why]) + other_ways(folder, settings)
    return Session(
        settings, name, params.dataset.name, tables, lists, asked, beside, AnswerStore(folder, settings), notes
    )
