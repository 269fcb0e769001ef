"""Titles as people type them → items of the catalogue; nothing is guessed silently."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from rapidfuzz import fuzz, process

from llara_core.errors import RequestError
from llara_core.recommending.title_keys import key_of, keys_of, numerals
from llara_core.tables.items import Items

_BY_ID, _AS_TEXT = "id:", "text:"
_SURE, _MARGIN, _NEAR, _HINT = 88.0, 4.0, 75.0, 60.0  # of RapidFuzz' ratio, 0 to 100
_SHOWN = 6  # titles that a question or a hint names
_LONGEST = 300  # characters of a typed title; the catalogue's have 120 at most

How = Literal["exact", "spelling", "typo", "beginning", "id"]


@dataclass(frozen=True)
class Match:
    """A typed title that means one item; `how` says what was forgiven: nothing (exact), spelling, or more."""

    typed: str
    item_id: int
    title: str
    how: How


@dataclass(frozen=True)
class Ambiguous:
    """A typed title that may mean several items, or one that it isn't spelt like: to be asked about."""

    typed: str
    choices: tuple[tuple[int, str], ...]

    @property
    def question(self) -> str:
        """The question, in one line."""
        listed = ", ".join(f'"{title}" ({_BY_ID}{item})' for item, title in self.choices)
        return (
            f'which title is "{self.typed}": {listed}? Type it as it stands here, or {_AS_TEXT}{self.typed} '
            "for a title outside the catalogue"
        )


@dataclass(frozen=True)
class Unknown:
    """A typed title that the catalogue doesn't have; `nearest` are titles that are a little like it."""

    typed: str
    nearest: tuple[str, ...] = ()


class TitleIndex:
    """Finds items by titles; safe to use from several threads."""

    def __init__(self, items: Items) -> None:
        """Take the catalogue."""
        self._titles, self._popularity = items.titles_by_id, items.popularity
        self._by_words: dict[str, list[int]] = defaultdict(list)
        self._years: dict[int, int | None] = {}
        for item, title in enumerate(self._titles[1:], start=1):
            self._years[item] = key_of(title).year
            for words in keys_of(title):
                self._by_words[words].append(item)
        self._by_title = {title: item for item, title in enumerate(self._titles)}

    @cached_property
    def _keys(self) -> list[str]:
        return list(self._by_words)

    def find(self, typed: str) -> Match | Ambiguous | Unknown:
        """Find what a title means.

        It may be `id:` and an item's id, or `text:` and a title outside the catalogue. Else it is, in this order: the
        title itself; a title of the same words, whatever case, accents, articles and punctuation, and of the year where
        both have one; one with a typo or two, if no other is as near and numbers are the same; or the only one that
        begins with these two words or more. What is near several titles, or near but not near enough, is Ambiguous.

        Raises:
            RequestError: it is empty or endless, or no item has the id.
        """
        if len(typed) > _LONGEST:
            raise RequestError(f"a title must have ≤ {_LONGEST} characters, got {len(typed)}")
        text = " ".join(typed.split())
        if text.startswith(_BY_ID):
            return self._by_id(text)
        if text.startswith(_AS_TEXT):
            return self._as_text(text)
        if text and (item := self._by_title.get(text)):
            return self._match(text, item, "exact")
        words, year = (key := key_of(text)).words, key.year
        if not words:
            raise RequestError(f"a title must have a letter or a digit, got {typed!r}")
        if same := self._by_words.get(words):
            return self._of_year(text, same, year)
        return self._near(text, words)

    def search(self, typed: str, limit: int = 10) -> list[tuple[int, str]]:
        """Return item ids and titles for what is being typed, the best first; popular ones before others as good."""
        words = key_of(typed[:_LONGEST]).words
        if not words:
            return []
        found: dict[int, float] = {}
        for key, items in self._by_words.items():
            place = f" {key}".find(f" {words}")
            if place >= 0:
                score = 300.0 if key == words else 200.0 if not place else 150.0
                found |= {item: max(score, found.get(item, 0.0)) for item in items}
        if len(found) < limit:
            near = process.extract(words, self._keys, scorer=fuzz.WRatio, limit=2 * limit, score_cutoff=_NEAR)
            for key, score, _ in near:
                found |= {item: score for item in self._by_words[key] if item not in found}
        order = sorted(found, key=lambda item: (-found[item], -int(self._popularity[item]), item))
        return [(item, self._titles[item]) for item in order[:limit]]

    def _by_id(self, text: str) -> Match:
        number = text.removeprefix(_BY_ID)
        if not (number.isascii() and number.isdigit() and 1 <= int(number) < len(self._titles)):
            raise RequestError(f"{_BY_ID} must be followed by an item's id, 1..{len(self._titles) - 1}, got {text!r}")
        return self._match(text, int(number), "id")

    def _as_text(self, text: str) -> Unknown:
        if not (title := text.removeprefix(_AS_TEXT).strip()):
            raise RequestError(f"a title must be named behind {_AS_TEXT}, got {text!r}")
        return Unknown(title)

    def _match(self, typed: str, item: int, how: How) -> Match:
        return Match(typed, item, self._titles[item], how)

    def _of_year(self, typed: str, same: Sequence[int], year: int | None) -> Match | Ambiguous:
        """Choose among items of the same words by the year; one that has none, as most have, doesn't contradict."""
        if year is not None:
            fitting = [item for item in same if self._years[item] == year]
            same = fitting or [item for item in same if self._years[item] is None] or same
            if not fitting and self._years[same[0]] is not None:
                return self._ask(typed, same)
        return self._match(typed, same[0], "spelling") if len(same) == 1 else self._ask(typed, same)

    def _near(self, typed: str, words: str) -> Match | Ambiguous | Unknown:
        near = process.extract(words, self._keys, scorer=fuzz.ratio, limit=2 * _SHOWN, score_cutoff=_HINT)
        scores: dict[int, float] = {}
        for key, score, _ in near:
            for item in self._by_words[key]:
                if numerals(key) != numerals(words):
                    score = min(score, _SURE - 1)
                scores[item] = max(score, scores.get(item, 0.0))
        ranked = sorted(scores, key=lambda item: (-scores[item], item))
        if (
            ranked
            and scores[ranked[0]] >= _SURE
            and not any(scores[ranked[0]] - scores[item] < _MARGIN for item in ranked[1:])
        ):
            return self._match(typed, ranked[0], "typo")
        if " " in words and len(beginning := self._with(words, only_first=True)) == 1:
            return self._match(typed, beginning[0], "beginning")
        close = [item for item in ranked if scores[item] >= _NEAR]
        if choices := list(dict.fromkeys([*close, *self._with(words, only_first=False)])):
            return self._ask(typed, choices)
        return Unknown(typed, tuple(self._titles[item] for item in ranked[:_SHOWN]))

    def _with(self, words: str, *, only_first: bool) -> list[int]:
        """Items in whose title the words stand together, or that begin with them; popular ones first."""
        inside = [key for key in self._keys if f" {words} " in f" {key} "]
        keys = [key for key in inside if key.startswith(words)] if only_first else inside
        items = {item for key in keys for item in self._by_words[key]}
        return sorted(items, key=lambda item: (-int(self._popularity[item]), item))

    def _ask(self, typed: str, items: Sequence[int]) -> Ambiguous:
        return Ambiguous(typed, tuple((item, self._titles[item]) for item in items[:_SHOWN]))
