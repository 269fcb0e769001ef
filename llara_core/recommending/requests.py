"""What is asked of a trained model, and what it answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from llara_core.prompting.segments import Item

LLARA, RECOMMENDER, TOGETHER = "llara", "recommender", "llara_with_recommender"
MODELS = (LLARA, RECOMMENDER, TOGETHER)
PoolKind = Literal["catalogue", "given", "recommender"]
"""What is ranked: all unseen items, the request's candidates, or the recommender's first ones."""


@dataclass(frozen=True)
class Request:
    """What comes next?

    Attributes:
        history: the latest item last; ids of the catalogue, and titles of what isn't in it.
        candidates: item ids to choose among; None: the whole catalogue, or the recommender's first items where the
            model can only choose from lists.
        seen: item ids that aren't recommended, beside those of the history; candidates that are given all are.
        top: how many items are returned.
        why: also say what each item of the history contributed.
    """

    history: tuple[Item, ...]
    candidates: tuple[int, ...] | None = None
    seen: tuple[int, ...] = ()
    top: int = 10
    why: bool = False


@dataclass(frozen=True)
class Scored:
    """A score, and the probability that it means."""

    score: float
    probability: float


@dataclass(frozen=True)
class Ranked(Scored):
    """An item in a ranking.

    Attributes:
        item_id: of the catalogue.
        title: its.
        without: [L] its score and probability had one item of the history, in turn, not been there; None where that
            leaves nothing that the model reads. Empty where nobody asked why.
    """

    item_id: int
    title: str
    without: tuple[Scored | None, ...] = ()


@dataclass(frozen=True)
class Recommendation:
    """An answer.

    Attributes:
        shown: [L] the items of the history that were read, the latest last.
        pool: what was ranked.
        n_pool: how many items that were.
        rankings: by model, the best first; a model that can't say anything is absent.
        notes: what the user should know, a sentence each.
    """

    shown: tuple[Item, ...]
    pool: PoolKind
    n_pool: int
    rankings: dict[str, list[Ranked]]
    notes: tuple[str, ...]

    def as_json(self, titles: Sequence[str]) -> dict[str, Any]:
        """The answer as JSON holds it, given titles by item id."""
        shown = [
            {"item_id": None, "title": item} if isinstance(item, str) else {"item_id": item, "title": titles[item]}
            for item in self.shown
        ]
        rankings = {
            name: [{"rank": rank, **asdict(entry)} for rank, entry in enumerate(ranked, start=1)]
            for name, ranked in self.rankings.items()
        }
        pool = {"kind": self.pool, "n_items": self.n_pool}
        return {"history": shown, "ranked": pool, "rankings": rankings, "notes": list(self.notes)}
