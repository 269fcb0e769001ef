"""A trained model that is loaded once and asked many times.

`loading.load_service` makes one; titles become items by `reading.read_titles(service.titles, …)`.
"""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Literal

import numpy as np

from llara_core.errors import RequestError
from llara_core.evaluation.calibration import list_probabilities
from llara_core.evaluation.probes import probed
from llara_core.objectives.asking import Advance, Tuned, build_respondent, ignore
from llara_core.recommending.calibration import Calibration
from llara_core.recommending.requests import TOGETHER, PoolKind, Ranked, Recommendation, Request, Scored
from llara_core.recommending.scoring import Asked, History, Models, Scores
from llara_core.recommending.titles import TitleIndex
from llara_core.tables.items import Items
from llara_core.tables.lineage import Lineage

Tokens = Literal["off", "shuffled"]
_FIRST = 20  # of the recommender's items, where the language model only chooses from lists


class RecommendationService:
    """Answers requests.

    Safe to use from several threads, which take turns at the model; many requests at once are quicker than one by one.

    Attributes:
        titles: finds the items of the catalogue by their titles.
        items: the catalogue.
        tuned: the model, and what it is asked with.
        models: what scores.
        calibration: from scores to probabilities.
        lineage: digests of all artifacts that it was made from.
    """

    def __init__(
        self, tuned: Tuned, models: Models, calibration: Calibration, lineage: Lineage, notes: Sequence[str] = ()
    ) -> None:
        """Take what `load_service` has loaded; `notes` stand in every answer."""
        self.tuned, self.models, self.calibration, self.lineage = tuned, models, calibration, lineage
        self.items: Items = tuned.tables.items
        self.titles = TitleIndex(self.items)
        self._notes, self._lock = tuple(notes), Lock()

    def recommend(self, request: Request) -> Recommendation:
        """Answer one request; for errors see `recommend_many`."""
        return self.recommend_many([request])[0]

    def recommend_many(self, requests: Sequence[Request], advance: Advance = ignore) -> list[Recommendation]:
        """Answer requests, read together; each answer depends on its own request alone.

        Raises:
            RequestError: a history is empty, an id isn't one of the catalogue's, or there is nothing to rank.
            ModelError: a prompt is too long for the model, or it computes no finite numbers.
        """
        for request in requests:
            self._check(request)
        with self._lock:
            asked = self._asked(requests)
            scores = self.models.score(asked, advance)
            without = [
                self.models.score_left_out(entry) if request.why else []
                for entry, request in zip(asked, requests, strict=True)
            ]
        return [self._answer(*parts) for parts in zip(requests, asked, scores, without, strict=True)]

    def history_of(self, raw_user_id: str) -> tuple[int, ...]:
        """Return all items of a user of the data, by the id of the raw files; the latest is last.

        Raises:
            RequestError: there is no such user.
        """
        sequences = self.tuned.tables.sequences
        row = sequences.raw_user_ids.index(raw_user_id).as_py()
        if row < 0:
            raise RequestError(
                f"user must be one of the {len(sequences)} of data/processed/sequences.parquet (raw_user_id), got "
                f"{raw_user_id!r}"
            )
        return tuple(sequences.items_of(row).tolist())

    def with_tokens(self, tokens: Tokens) -> "RecommendationService":
        """Return the same model asked without behavioural tokens, or with each item's exchanged for another's.

        Weights are shared. Probabilities are by the temperatures of the model as it was trained.
        """
        tuned = probed("text" if tokens == "off" else "vectors_shuffled", self.tuned, seed=0)
        models = replace(self.models, respondent=build_respondent(tuned))
        note = {"off": "behavioural tokens are off", "shuffled": "behavioural tokens are other items'"}[tokens]
        other = RecommendationService(tuned, models, self.calibration, self.lineage, [*self._notes, note])
        other._lock = self._lock  # they share weights, and the machine
        return other

    def _check(self, request: Request) -> None:
        if not request.history:
            raise RequestError("a history must have at least one title, got an empty one")
        if request.top < 1:
            raise RequestError(f"top must be ≥ 1, got {request.top}")
        listed = request.candidates or ()
        for item in (*request.history, *listed, *request.seen):
            if isinstance(item, str):
                if not (item.strip() and item.isprintable()):  # a line's end is a token with a meaning of its own
                    raise RequestError(f"a title must be one line of printable characters, got {item[:80]!r}")
            elif not 1 <= item <= len(self.items):
                raise RequestError(f"an item's id must lie in the catalogue's 1..{len(self.items)}, got {item}")
        if request.candidates is not None and len(set(listed)) < max(2, len(listed)):
            raise RequestError(
                f"candidates must be at least 2 different items, got {len(set(listed))} of {len(listed)}"
            )

    def _asked(self, requests: Sequence[Request]) -> list[Asked]:
        shown: list[History] = [request.history[-self.models.history_length :] for request in requests]
        pools = [
            self._unseen(request) if request.candidates is None else np.array(request.candidates, dtype=np.int64)
            for request in requests
        ]
        free = [place for place, request in enumerate(requests) if self._kind(request) == "recommender"]
        for place, row in zip(free, self.models.recommender_scores([shown[place] for place in free]), strict=True):
            pools[place] = _first(row, pools[place])
        return [Asked(history, pool) for history, pool in zip(shown, pools, strict=True)]

    def _unseen(self, request: Request) -> np.ndarray:
        had = [item for item in (*request.history, *request.seen) if not isinstance(item, str)]
        pool = np.setdiff1d(np.arange(1, len(self.items) + 1), had)
        if not len(pool):
            raise RequestError("the catalogue must have an item that isn't in the history, got none")
        return pool

    def _answer(self, request: Request, asked: Asked, scores: Scores, without: Sequence[Scores]) -> Recommendation:
        kind = self._kind(request)
        others = without if without else [{}] * (len(asked.history) if request.why else 0)
        rankings = {
            name: self._rank(own, asked.pool, request.top, [entry.get(name) for entry in others], name, kind)
            for name, own in scores.items()
        }
        notes = [*self._notes, *self._remarks(request, kind, has_recommender=len(scores) > 1)]
        return Recommendation(asked.history, kind, len(asked.pool), rankings, tuple(notes))

    def _rank(
        self,
        scores: np.ndarray,
        pool: np.ndarray,
        top: int,
        without: Sequence[np.ndarray | None],
        name: str,
        kind: PoolKind,
    ) -> list[Ranked]:
        """Rank a pool by one model's scores; of equals the first comes first, as in evaluation."""
        temperature = self.calibration.temperatures(kind)[name]
        order = np.argsort(-scores, kind="stable")[:top]
        own = _scored(scores, temperature, order)
        left_out = [[None] * len(order) if row is None else _scored(row, temperature, order) for row in without]
        return [
            Ranked(found.score, found.probability, int(item), self.items.titles_by_id[item], tuple(others))
            for found, item, *others in zip(own, pool[order], *left_out, strict=True)
        ]

    def _kind(self, request: Request) -> PoolKind:
        if request.candidates is not None:
            return "given"
        return "catalogue" if self.models.ranks_catalogue else "recommender"

    def _remarks(self, request: Request, kind: PoolKind, *, has_recommender: bool) -> list[str]:
        remarks = []
        if len(request.history) > (length := self.models.history_length):
            remarks.append(f"only the latest {length} of {len(request.history)} titles are read, as in training")
        if kind == "recommender":
            remarks.append(
                f"the language model, trained by {self.tuned.manifest.objective}, chooses from a list: here the "
                f"recommender's first {_FIRST}"
            )
        if not has_recommender:
            remarks.append("no title of the history is in the catalogue: the recommender can't say anything")
        elif self.models.weight is None:
            remarks.append(f"there is no {TOGETHER}: this model has not been evaluated; run `dvc repro evaluate`")
        return remarks


def _first(scores: np.ndarray | None, unseen: np.ndarray) -> np.ndarray:
    """Return the recommender's first items among the unseen, the best first."""
    if scores is None:
        raise RequestError(
            "candidates must be given where no title of the history is in the catalogue: the recommender, which would "
            "choose them, can't say anything"
        )
    return unseen[np.argsort(-scores[unseen], kind="stable")[:_FIRST]]


def _scored(scores: np.ndarray, temperature: float, places: np.ndarray) -> list[Scored]:
    """Scores at some places of a pool's [P], and their probabilities among all of it."""
    probabilities = list_probabilities(scores[None], temperature)[0]
    return [Scored(float(scores[place]), float(probabilities[place])) for place in places]
