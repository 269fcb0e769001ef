"""Scores by the language model, by its recommender, and by both together, as evaluation makes them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llara_core.evaluation.blending import blend
from llara_core.objectives.asking import Advance, CatalogueRespondent, Respondent, ignore
from llara_core.objectives.numbers import require_finite
from llara_core.prompting.segments import Item
from llara_core.recommenders.ranking import Scorer
from llara_core.recommending.requests import LLARA, RECOMMENDER, TOGETHER
from llara_core.tables.items import PADDING_ID

History = tuple[Item, ...]
Scores = Mapping[str, np.ndarray]
"""[P] float32 of a pool's items by model; a model that can't say anything is absent."""

_SCORES_AT_ONCE = 1 << 24  # 64 MiB of float32


@dataclass(frozen=True)
class Asked:
    """A history of 1 to L items as the models read it, and the P items that are scored after it."""

    history: History
    pool: np.ndarray


@dataclass(frozen=True)
class Models:
    """What scores.

    Attributes:
        respondent: the tuned language model.
        recommender: scores of all items after histories of the catalogue's items.
        weight: of the language model beside the recommender; None: they aren't added.
        history_length: L, the most items that they read.
        n_items: of the catalogue.
    """

    respondent: Respondent
    recommender: Scorer
    weight: float | None
    history_length: int
    n_items: int

    @property
    def ranks_catalogue(self) -> bool:
        """Whether the language model scores all items at once."""
        return isinstance(self.respondent, CatalogueRespondent)

    def score(self, asked: Sequence[Asked], advance: Advance = ignore) -> list[Scores]:
        """Score each request's pool; a history that several have is read once.

        Raises:
            ModelError: a prompt is too long for the model, or it computes no finite numbers.
            RequestError: a title outside the catalogue can't be shown.
        """
        ours, theirs = self._by_llm(asked, advance), self._by_recommender(asked)
        return [self._joined(*pair) for pair in zip(ours, theirs, strict=True)]

    def score_left_out(self, asked: Asked) -> list[Scores]:
        """Score a request's pool after its history without each item in turn; nothing where that leaves none.

        Raises:
            ModelError: a prompt is too long for the model, or it computes no finite numbers.
        """
        history = asked.history
        if len(history) < 2:
            return []
        rest = [Asked(history[:place] + history[place + 1 :], asked.pool) for place in range(len(history))]
        if not isinstance(self.respondent, CatalogueRespondent):
            return self.score(rest)
        scores = self.respondent.score_left_out(history)
        require_finite(scores[:, 1:])
        ours = scores.cpu().numpy()[:, asked.pool]
        return [self._joined(*pair) for pair in zip(ours, self._by_recommender(rest), strict=True)]

    def recommender_scores(self, histories: Sequence[History]) -> list[np.ndarray | None]:
        """[n + 1] scores of all items after each history; None after one without an item of the catalogue."""
        known = {history: tuple(item for item in history if not isinstance(item, str)) for history in histories}
        rows = [items for items in dict.fromkeys(known.values()) if items]
        shown = np.full((len(rows), self.history_length), PADDING_ID, dtype=np.int32)
        for row, items in zip(shown, rows, strict=True):
            row[len(row) - len(items) :] = items
        found: dict[History, np.ndarray] = {}
        for part in self._parts(len(rows)):
            found |= zip(rows[part], self.recommender(shown[part]).cpu().numpy(), strict=True)
        return [found.get(known[history]) for history in histories]

    def _by_recommender(self, asked: Sequence[Asked]) -> list[np.ndarray | None]:
        found = self.recommender_scores([entry.history for entry in asked])
        return [None if row is None else row[entry.pool] for entry, row in zip(asked, found, strict=True)]

    def _by_llm(self, asked: Sequence[Asked], advance: Advance) -> list[np.ndarray]:
        if not isinstance(self.respondent, CatalogueRespondent):
            return self._by_prompts(asked, advance)
        of_history = _grouped(asked, lambda entry: entry.history)
        histories, found = list(of_history), [np.empty(0, dtype=np.float32)] * len(asked)
        for part in self._parts(len(histories)):
            scores = self.respondent.score_catalogue(histories[part], advance)
            require_finite(scores[:, 1:])
            for history, row in zip(histories[part], scores.cpu().numpy(), strict=True):
                for place in of_history[history]:
                    found[place] = row[asked[place].pool]
        return found

    def _by_prompts(self, asked: Sequence[Asked], advance: Advance) -> list[np.ndarray]:
        """Ask about pools of one size at a time."""
        found = [np.empty(0, dtype=np.float32)] * len(asked)
        for places in _grouped(asked, lambda entry: len(entry.pool)).values():
            histories, pools = [asked[i].history for i in places], np.stack([asked[i].pool for i in places])
            scores = self.respondent.score_lists(histories, pools, advance)
            for place, row in zip(places, scores.astype(np.float32), strict=True):
                found[place] = row
        return found

    def _joined(self, ours: np.ndarray, theirs: np.ndarray | None) -> Scores:
        if theirs is None:
            return {LLARA: ours}
        scores = {LLARA: ours, RECOMMENDER: theirs}
        if self.weight is not None:
            scores[TOGETHER] = blend(ours[None], theirs[None], self.weight)[0].astype(np.float32)
        return scores

    def _parts(self, n_rows: int) -> Iterator[slice]:
        size = max(1, _SCORES_AT_ONCE // (self.n_items + 1))
        return (slice(start, start + size) for start in range(0, n_rows, size))


def _grouped(asked: Sequence[Asked], key: Callable[[Asked], object]) -> dict:
    """Places in `asked` by a key, in the order in which keys come."""
    groups: dict[object, list[int]] = {}
    for place, entry in enumerate(asked):
        groups.setdefault(key(entry), []).append(place)
    return groups
