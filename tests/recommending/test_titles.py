"""Titles as people type them, against a catalogue made by hand."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llara_core.errors import RequestError
from llara_core.recommending.title_keys import Key, key_of, keys_of
from llara_core.recommending.titles import Ambiguous, Match, TitleIndex, Unknown
from llara_core.tables.items import Items

TITLES = {
    "Toy Story": 9,
    "The Lion King": 8,
    "Amélie": 1,
    "Alien": 7,
    "Aliens": 6,
    "Alien 3": 5,
    "Hamlet (1996)": 4,
    "Hamlet (1948)": 3,
    "Chasing Amy (1997)": 1,
    "Chasing Amy (1997) [2]": 0,
    "Shanghai Triad (Yao a yao yao dao waipo qiao)": 1,
    "Star Trek: First Contact": 9,
    "Star Trek: Generations": 2,
    "Terminator 2: Judgment Day": 5,
    "Mr. Holland's Opus": 5,
    "Romeo & Juliet": 2,
    "The Godfather: Part II": 3,
    "Ran": 1,
    "Rán": 1,
    "Emma (1996)": 2,
    "Jackal Hunter": 1,
    "Jackal Hunted": 1,
}
NAMES = list(TITLES)


def _items() -> Items:
    return Items(pa.array(NAMES), pa.array(NAMES), pa.array(TITLES.values(), pa.int32()).to_numpy())


INDEX = TitleIndex(_items())


@pytest.mark.parametrize(
    ("title", "words", "year"),
    [
        ("The Lion King (1994)", "lion king", 1994),
        ("Lion King, The", "lion king", None),
        ("AMÉLIE", "amelie", None),
        ("Mr. Holland’s  Opus", "mr hollands opus", None),
        ("Romeo & Juliet", "romeo and juliet", None),
        ("Chasing Amy (1997) [2]", "chasing amy", 1997),
        ("A", "a", None),
        ("2001: A Space Odyssey", "2001 a space odyssey", None),
        ("…", "", None),
    ],
)
def test_what_spellings_share(title: str, words: str, year: int | None) -> None:
    assert key_of(title) == Key(words, year)


def test_a_title_is_found_by_its_parts() -> None:
    assert keys_of(NAMES[10]) == [
        "shanghai triad yao a yao yao dao waipo qiao",
        "shanghai triad",
        "yao a yao yao dao waipo qiao",
    ]


@pytest.mark.parametrize(
    ("typed", "title", "how"),
    [
        ("Toy Story", "Toy Story", "exact"),
        ("  toy   STORY ", "Toy Story", "spelling"),
        ("Toy Story (1995)", "Toy Story", "spelling"),
        ("lion king, the", "The Lion King", "spelling"),
        ("amelie", "Amélie", "spelling"),
        ("mr hollands opus", "Mr. Holland's Opus", "spelling"),
        ("romeo and juliet", "Romeo & Juliet", "spelling"),
        ("shanghai triad", NAMES[10], "spelling"),
        ("hamlet (1948)", "Hamlet (1948)", "spelling"),
        ("emma", "Emma (1996)", "spelling"),
        ("Chasing Amy (1997) [2]", "Chasing Amy (1997) [2]", "exact"),
        ("Alien", "Alien", "exact"),
        ("aliens", "Aliens", "spelling"),
        ("Toy Stroy", "Toy Story", "typo"),
        ("The Loin King", "The Lion King", "typo"),
        ("terminator 2", "Terminator 2: Judgment Day", "beginning"),
        ("id:4", "Alien", "id"),
    ],
)
def test_a_title_is_found(typed: str, title: str, how: str) -> None:
    found = INDEX.find(typed)
    assert found == Match(" ".join(typed.split()), 1 + NAMES.index(title), title, how)


@pytest.mark.parametrize(
    ("typed", "choices"),
    [
        ("Hamlet", ["Hamlet (1996)", "Hamlet (1948)"]),
        ("Hamlet (2000)", ["Hamlet (1996)", "Hamlet (1948)"]),
        ("Emma (1972)", ["Emma (1996)"]),  # another film, for all that is known
        ("Jackal Hunte", ["Jackal Hunter", "Jackal Hunted"]),  # as near to both
        ("chasing amy", ["Chasing Amy (1997)", "Chasing Amy (1997) [2]"]),
        ("star trek", ["Star Trek: First Contact", "Star Trek: Generations"]),
        ("Toy Story 2", ["Toy Story"]),  # a sequel isn't a typo
        ("Alein 3", ["Alien 3"]),  # 86: near, but not near enough
        ("godfather", ["The Godfather: Part II"]),  # one word may begin much
        ("ran", ["Ran", "Rán"]),
    ],
)
def test_what_may_mean_several_is_asked(typed: str, choices: list[str]) -> None:
    found = INDEX.find(typed)
    assert isinstance(found, Ambiguous)
    assert [title for _, title in found.choices][: len(choices)] == choices
    assert all(NAMES[item - 1] == title for item, title in found.choices)
    for item, title in found.choices:
        assert f'"{title}" (id:{item})' in found.question
        assert INDEX.find(title) == Match(title, item, title, "exact")  # the answer to the question is understood


@pytest.mark.parametrize(("typed", "text"), [("The Matrix", "The Matrix"), ("text:Toy Story 2", "Toy Story 2")])
def test_what_the_catalogue_lacks_stays_text(typed: str, text: str) -> None:
    found = INDEX.find(typed)
    assert isinstance(found, Unknown)
    assert found.typed == text


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "a title must have a letter or a digit, got ''"),
        (" … ", "a title must have a letter or a digit, got ' … '"),
        ("id:23", "id: must be followed by an item's id, 1..22, got 'id:23'"),
        ("id:0", "got 'id:0'"),
        ("id:x", "got 'id:x'"),
        ("long " * 61, "a title must have ≤ 300 characters, got 305"),
        ("text:", "a title must be named behind text:, got 'text:'"),
    ],
)
def test_what_is_no_title_is_refused(typed: str, message: str) -> None:
    with pytest.raises(RequestError, match="^[^\n]*$") as refused:
        INDEX.find(typed)
    assert message in str(refused.value)


@given(st.sampled_from(NAMES), st.data())
def test_every_title_is_found_whatever_its_case_and_space(title: str, data: st.DataObject) -> None:
    cases = data.draw(st.lists(st.booleans(), min_size=len(title), max_size=len(title)))
    typed = "".join(char.upper() if up else char.lower() for char, up in zip(title, cases, strict=True))
    found = INDEX.find(f"  {typed}")
    means = {found.item_id} if isinstance(found, Match) else {item for item, _ in found.choices}
    assert 1 + NAMES.index(title) in means


@given(st.text(max_size=30))
def test_whatever_is_typed_nothing_is_guessed_silently(typed: str) -> None:
    try:
        found = INDEX.find(typed)
    except RequestError:
        return
    if isinstance(found, Match) and found.how == "spelling":
        assert key_of(typed).words in keys_of(found.title)
    if isinstance(found, Match) and found.how == "exact":
        assert " ".join(typed.split()) == found.title


def test_search_as_one_types() -> None:
    def search(typed: str, limit: int = 10) -> list[str]:
        found = INDEX.search(typed, limit)
        assert all(NAMES[item - 1] == title for item, title in found)
        return [title for _, title in found]

    assert search("alien")[:3] == ["Alien", "Aliens", "Alien 3"]  # whole, then beginnings by popularity
    assert search("sto")[0] == "Toy Story"
    assert search("Star", 1) == ["Star Trek: First Contact"]
    assert search("lyon king")[0] == "The Lion King"
    assert search(" ") == []
