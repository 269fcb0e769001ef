from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llara_core.objectives.answer.matching import TitleMatcher
from llara_core.tables.predictions import INSIDE, NO_ITEM, NONE, WHOLE

TITLES = [
    "",  # padding
    "Alien",
    "Alien 3",
    "Heat",
    "Monsters, Inc.",
    "M",
    "The Piano",
    "It",
    "...",
    ".",
    "HEAT",
    "Alien Resurrection",
    "The Next Karate Kid",
    "$",
    "What’s Eating Amélie?",
]
ALIEN, ALIEN_3, HEAT, MONSTERS, M, PIANO, IT, DOTS, DOT, LOUD_HEAT, RESURRECTION, KARATE, DOLLAR, EATING = range(1, 15)
MATCHER = TitleMatcher(TITLES)


@pytest.mark.parametrize(
    ("answer", "candidates", "named"),
    [
        # It is a title.
        ("Alien", [ALIEN, ALIEN_3], ALIEN),
        ("alien 3", [ALIEN, ALIEN_3], ALIEN_3),
        ("Alien 3", [ALIEN, HEAT], None),  # another item's title
        ("Alien", [ALIEN_3, HEAT], None),
        ('"Heat"', [ALIEN, HEAT], HEAT),
        ("“Alien.”", [ALIEN, HEAT], ALIEN),
        ("Alien.", [ALIEN, HEAT], ALIEN),
        ("Monsters, Inc", [MONSTERS, M], MONSTERS),
        ("Monsters,  Inc.", [MONSTERS, M], MONSTERS),
        ("M", [MONSTERS, M], M),
        # Titles that differ in case alone: letter for letter, then the one among the candidates.
        ("Heat", [HEAT, LOUD_HEAT], HEAT),
        ("HEAT", [HEAT, LOUD_HEAT], LOUD_HEAT),
        ("HEAT", [HEAT, ALIEN], None),
        ("heat", [LOUD_HEAT, ALIEN], LOUD_HEAT),
        ("heat", [HEAT, LOUD_HEAT], None),
        # Titles stand in it.
        ("I think Alien 3 comes next", [ALIEN, ALIEN_3], ALIEN_3),
        ("I think Alien 3 comes next", [ALIEN, HEAT], None),
        ("Alien, and not Alien 3", [ALIEN, HEAT], ALIEN),  # it names Alien too, by itself
        ("Alien, and not Alien 3", [ALIEN, ALIEN_3], None),
        ("Alien, yes, alien", [ALIEN, ALIEN_3], ALIEN),
        ("The next movie: The Piano", [PIANO, M], PIANO),
        ("I think it is Alien", [ALIEN, ALIEN_3], ALIEN),  # It is no candidate
        ("I think it is Alien", [ALIEN, IT], None),
        ("Alien or The Piano", [ALIEN, PIANO], None),
        ("Alien or The Piano", [ALIEN, HEAT], ALIEN),
        ("The heat is on", [HEAT, ALIEN], HEAT),
        ("The heat is on", [HEAT, LOUD_HEAT], None),
        ("Monsters, Inc. is next", [MONSTERS, M], MONSTERS),
        ("It costs $ 5... Alien", [ALIEN, DOTS, DOLLAR, DOT], ALIEN),  # nor are punctuation marks titles in an answer
        # Neither.
        ("Aliens", [ALIEN, HEAT], None),
        # An apostrophe is part of a word; curly or straight, and accents composed or not, are the same.
        ("I'm not sure", [M, HEAT], None),
        ("I'm going with Heat", [M, HEAT], HEAT),
        ("I’m going with Heat", [M, HEAT], HEAT),
        ("Heat's sequel", [M, HEAT], None),
        ("What's Eating Ame\u0301lie?", [EATING, M], EATING),
        ("It is what’s eating amélie? I think", [EATING, M], EATING),
        ("Mmm", [M, HEAT], None),
        ("Jaws", [ALIEN, HEAT], None),
        # Nothing, or nothing but punctuation.
        ("", [DOT, DOTS], None),
        (" ", [DOT, DOTS], None),
        ('""', [DOT, DOTS], None),
        ('"."', [DOT, DOTS], None),
        (".", [ALIEN, HEAT], None),
        (".", [DOT, DOTS], DOT),
        ("...", [DOT, DOTS], DOTS),
        ("$", [DOLLAR, DOT], DOLLAR),
    ],
)
def test_by_hand(answer: str, candidates: list[int], named: int | None) -> None:
    assert MATCHER.match(answer, candidates) == named


@pytest.mark.parametrize(
    ("answer", "candidates", "named"),
    [
        ("Alien Res", [ALIEN, HEAT], None),  # Alien Resurrection
        ("Alien Rex", [ALIEN, HEAT], ALIEN),
        ("I think Alien", [ALIEN, HEAT], None),
        ("Alien", [ALIEN, HEAT], None),  # perhaps Alien 3
        ("Heat", [HEAT, ALIEN], HEAT),  # no title goes on so
        ("Heat, but then The Next", [HEAT, ALIEN], HEAT),
        ("The next", [HEAT, ALIEN], None),
        ("", [HEAT, ALIEN], None),
    ],
)
def test_a_cut_answer_may_go_on(answer: str, candidates: list[int], named: int | None) -> None:
    assert MATCHER.match(answer, candidates, is_whole=False) == named


def _split(text: str) -> list[str]:
    """Split into words and punctuation marks, character by character."""
    kinds = groupby(text.lower(), lambda character: "word" if character.isalnum() else character)
    parts = [(kind, list(characters)) for kind, characters in kinds]
    return [
        piece
        for kind, characters in parts
        if not kind.isspace()
        for piece in (["".join(characters)] if kind == "word" else characters)
    ]


def _slow_match(answer: str, titles: list[str], candidates: list[int]) -> int | None:
    """All places of all titles, and every pair of them compared."""
    for form in (lambda text: text, lambda text: _split(text.removesuffix("."))):
        same = [item for item in range(1, len(titles)) if form(titles[item]) == form(answer)]
        if same and form(answer):
            named = [item for item in same if item in candidates]
            return named[0] if len(named) == 1 else None
    said = _split(answer.removesuffix("."))
    places = [
        (start, start + len(title), item)
        for item in range(1, len(titles))
        if any(character.isalnum() for character in titles[item])
        for title in [_split(titles[item].removesuffix("."))]
        for start in range(len(said))
        if said[start : start + len(title)] == title
    ]
    free = {
        item
        for start, end, item in places
        if not any(s <= start and end <= e and (s, e) != (start, end) for s, e, _ in places)
    }
    named = [item for item in candidates if item in free]
    return named[0] if len(named) == 1 else None


_PHRASES = st.lists(st.sampled_from(["a", "A", "b", "ab", "3", ",", "."]), min_size=1, max_size=4).map(" ".join)


@given(
    st.lists(_PHRASES, min_size=2, max_size=12, unique=True),
    st.lists(_PHRASES, max_size=3).map(" ".join),
    st.integers(1, 12),
)
def test_agrees_with_a_loop_over_all_titles_and_places(titles: list[str], answer: str, n_candidates: int) -> None:
    catalogue = ["", *titles]
    candidates = list(range(1, len(catalogue)))[:n_candidates]
    assert TitleMatcher(catalogue).match(answer, candidates) == _slow_match(answer, catalogue, candidates)


@given(st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=1, unique_by=lambda t: " ".join(t.split())))
def test_every_title_names_its_item(titles: list[str]) -> None:
    matcher = TitleMatcher(["", *titles])
    everything = range(1, len(titles) + 1)
    assert [matcher.match(title, everything) for title in titles] == list(everything)


_SHORT = st.lists(st.sampled_from("aAb,"), min_size=1, max_size=3).map(" ".join)


@given(st.lists(_SHORT, min_size=2, max_size=6, unique=True), _SHORT, _SHORT)
def test_what_a_cut_answer_names_it_names_however_it_goes_on(titles: list[str], answer: str, more: str) -> None:
    matcher = TitleMatcher(["", *titles])
    for item in range(1, len(titles) + 1):
        if matcher.match(f"zz {answer}", [item], is_whole=False) == item:
            assert matcher.match(f"zz {answer} {more}", [item]) == item


def test_a_title_of_marks_alone_is_not_found_beside_one_that_begins_with_the_same_mark() -> None:
    matcher = TitleMatcher(["", ", a", ", ,"])
    assert matcher.match("a , ,", [1, 2]) is None
    assert matcher.match("so , a", [1, 2]) == 1
    assert matcher.match(", ,", [1, 2]) == 2  # the whole answer


def test_reading_is_matching_and_says_how() -> None:
    matcher = TitleMatcher(
        ["", "Toy Story", "GoldenEye", "Four Rooms", "Alien", "Alien 3", "Heat", "The Piano", "Babe"]
    )
    for text in ("Alien", "alien.", "It is Alien!", "Alien or Heat", "", "Alien 3"):
        for is_whole in (True, False):
            item, how = matcher.read(text, [4, 6, 8], is_whole=is_whole)
            assert item == (matcher.match(text, [4, 6, 8], is_whole=is_whole) or NO_ITEM)
            assert how == (NONE if item == NO_ITEM else WHOLE if is_whole and text in ("Alien", "alien.") else INSIDE)
