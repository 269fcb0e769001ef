"""What the numbers of an evaluation mean, in words: where a reader may be misled, or something hasn't been learnt."""

from collections.abc import Iterator
from typing import Any

from llara_core.tables.predictions import Asked

_FORMAT_LEARNT = 0.9
HARD = (
    "the negatives are favourites of a recommender's: its own row says nothing of how good it is, and whoever dislikes "
    "what it likes does well too (docs/evaluation.md)"
)
_PROBES = {
    "text": "without behavioural tokens",
    "vectors_shuffled": "with behavioural tokens of other items",
    "vectors_zeroed": "with the same behavioural token everywhere",
    "history_shuffled": "after a history in random order",
    "history_removed": "without a history",
}


def remarks(details: dict[str, Any], asked: Asked) -> list[str]:
    """Word what a reader should know, from `report.details` of answers to the lists asked about."""
    advice = "; eval.positions: all asks about more positions" if (asked.sets.scopes == "last").all() else ""
    # On hard lists chance says nothing: a target that isn't among the recommender's favourites stands below all of them
    # for whoever likes what it likes.
    chance = None if asked.chosen_by else 1 / asked.sets.candidates.shape[1]
    said = [*_of_answers(details["models"]["llara"], chance), *_of_differences(details, advice)]
    return [HARD, *said] if asked.chosen_by else said


def _of_answers(llara: dict[str, Any], chance: float | None) -> Iterator[str]:
    valid = llara["valid_ratio"]
    if valid < _FORMAT_LEARNT:
        yield (
            f"llara's answers name one candidate in only {valid:.1%} of the lists: it hasn't learnt the form of an "
            "answer yet; train longer, or ask by scoring"
        )
    elif chance is not None and llara["hit_ratio_at_1_low"] <= chance:
        beside = "is below" if llara["hit_ratio_at_1_high"] < chance else "can't be told from"
        yield (
            f"llara's HitRatio@1 {_interval(llara, 'hit_ratio_at_1')} {beside} chance, {chance:.3f}: it answers in the "
            "right form, but hasn't learnt what users prefer"
        )


def _of_differences(details: dict[str, Any], advice: str) -> Iterator[str]:
    found = details["differences"]
    for probe, words in _PROBES.items():
        if not (drop := found.get(f"llara - llara_{probe}")):
            continue
        if drop["high"] < 0:
            yield f"llara does worse than when it is asked {words}, by {_difference(drop)}"
        elif drop["low"] <= 0:
            yield f"llara can't be told from llara asked {words}: the difference is {_difference(drop)}"
    for ours in ("llara", "llara_with_recommender"):
        if not (gain := found.get(f"{ours} - recommender")):
            continue
        if gain["high"] < 0:
            yield f"{ours} is worse than the recommender alone, by {_difference(gain)}"
        elif gain["low"] <= 0:
            yield (
                f"{ours} and the recommender can't be told apart on these users: the difference is "
                f"{_difference(gain)}, and its interval holds 0{advice}"
            )


def _difference(entry: dict[str, float]) -> str:
    return f"{entry['difference']:+.3f} [{entry['low']:+.3f}, {entry['high']:+.3f}]"


def _interval(entry: dict[str, float], name: str) -> str:
    return f"{entry[name]:.3f} [{entry[f'{name}_low']:.3f}, {entry[f'{name}_high']:.3f}]"
