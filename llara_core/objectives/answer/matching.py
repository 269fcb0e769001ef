"""Which candidate an answer names, in view of the whole catalogue."""

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from llara_core.tables.predictions import INSIDE, NO_ITEM, NONE, WHOLE

_Words = tuple[str, ...]


class TitleMatcher:
    """Reads answers against all titles of a catalogue, so that no other item passes for a candidate.

    An answer names an item in one of two ways:

    1. It is a title: letter for letter, or else but for case, spaces, quotation marks around it and a final full stop.
       It then names this item alone, and no candidate if the item is none. Of several items whose titles differ in no
       more than that, it names the one among the candidates. An answer of which nothing is left names none.
    2. Titles stand in it as whole words. Each place is read as the widest title of the catalogue that stands there:
       "Alien" isn't named by "Alien 3", whether or not that is a candidate. The titles that are left must be those of
       exactly one candidate; other items don't count, for "It", "If" or "M" stand in many a sentence. A title without
       letter or digit is never looked for inside an answer.

    An answer that was cut off is read in the second way alone, and as one that may go on: "Alien Res" isn't "Alien"
    where the catalogue has "Alien Resurrection".
    """

    def __init__(self, titles: Sequence[str]) -> None:
        """Index titles by item id, of which 0 is padding."""
        self._verbatim: dict[str, list[int]] = defaultdict(list)
        self._worded: dict[_Words, list[int]] = defaultdict(list)
        for item, title in enumerate(titles[1:], start=1):
            self._verbatim[_single_spaced(title)].append(item)
            if words := _words(title):
                self._worded[words].append(item)
        self._findable = {words: items for words, items in self._worded.items() if re.search(r"\w", " ".join(words))}
        lengths: dict[str, set[int]] = defaultdict(set)
        for words in self._findable:
            lengths[words[0]].add(len(words))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}
        self._sorted = sorted(map(" ".join, self._worded))

    def is_title(self, answer: str) -> bool:
        """Whether the whole answer is a title of the catalogue, in the first of the two ways."""
        return _single_spaced(answer) in self._verbatim or _words(answer) in self._worded

    def read(self, answer: str, candidates: Iterable[int], *, is_whole: bool) -> tuple[int, str]:
        """Item id of the candidate that the answer names, and how, as `Predictions.matches` has it."""
        named = self.match(answer, candidates, is_whole=is_whole)
        if named is None:
            return NO_ITEM, NONE
        return named, WHOLE if is_whole and self.is_title(answer) else INSIDE

    def match(self, answer: str, candidates: Iterable[int], *, is_whole: bool = True) -> int | None:
        """Item id of the one candidate that the answer names, or None.

        Args:
            answer: what was said.
            candidates: item ids.
            is_whole: whether the answer came to its end, instead of to a limit.
        """
        said, words = _single_spaced(answer), _words(answer)
        if not is_whole:
            items = self._inside(words, self._open(words))
        elif said:
            items = self._verbatim.get(said) or self._worded.get(words) or self._inside(words, len(words))
        else:
            return None
        named = set(candidates).intersection(items)
        return int(named.pop()) if len(named) == 1 else None

    def _inside(self, words: _Words, end: int) -> list[int]:
        """Items whose titles begin before word `end` and stand in no wider title; of equal titles all."""
        found: list[int] = []
        covered = 0  # where the titles so far end: one that ends no later began later and so stands in another
        for start in range(end):
            for length in self._lengths.get(words[start], ()):
                items = self._findable.get(words[start : start + length])
                if items is not None and start + length <= len(words):
                    if start + length > covered:
                        covered = start + length
                        found += items
                    break
        return found

    def _open(self, words: _Words) -> int:
        """Find the first word of a cut answer from which on it may be an unfinished title."""
        for start in range(len(words)):
            rest = " ".join(words[start:])
            place = bisect_left(self._sorted, rest)
            if any(title.startswith(rest) and title != rest for title in self._sorted[place : place + 2]):
                return start
        return len(words)


def _single_spaced(text: str) -> str:
    return " ".join(text.split())


def _words(text: str) -> _Words:
    """Words and punctuation marks in lower case, without quotation marks around all and without a final full stop.

    An apostrophe inside a word belongs to it: "I'm" isn't the film "M". Letters with accents are one however encoded.
    """
    plain = unicodedata.normalize("NFC", text.casefold()).replace("’", "'")
    bare = _single_spaced(plain).strip("\"'“”‘").removesuffix(".")
    return tuple(re.findall(r"\w+(?:'\w+)*|[^\w\s]", bare))
