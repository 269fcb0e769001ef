import pytest
from hypothesis import given
from hypothesis import strategies as st

from llara_core.datasets.titles import clean_titles


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Toy Story (1995)", "Toy Story"),
        ("Usual Suspects, The (1995)", "The Usual Suspects"),
        ("American in Paris, An (1951)", "An American in Paris"),
        ("Bronx Tale, A (1993)", "A Bronx Tale"),
        ("unknown", "unknown"),
        ("Tin Drum, The (Blechtrommel, Die) (1979)", "The Tin Drum (Blechtrommel, Die)"),
        ("Vie (Double Life of Veronique, The) (1991)", "Vie (The Double Life of Veronique)"),
        ("Land Before Time III (1995) (V)", "Land Before Time III"),
        ("Heidi Fleiss: Hollywood Madam (1995) ", "Heidi Fleiss: Hollywood Madam"),
        ("Good, The Bad and The Ugly, The (1966)", "The Good, The Bad and The Ugly"),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey"),
        ("Tom &amp; Jerry&#39;s Day (1992)", "Tom & Jerry's Day"),
        ("Portal® 2™ (TM)", "Portal 2"),
        ("Heat\x00\u200b\n  (1995)", "Heat"),
        ("x" * 500, "x" * 119 + "…"),
        ("", "untitled"),
        (" (1999)", "untitled"),
    ],
)
def test_one_title(raw: str, clean: str) -> None:
    assert clean_titles([raw])[0] == [clean]


def test_years_come_back_only_where_they_are_needed() -> None:
    raw = ["Sabrina (1995)", "Sabrina (1954)", "Heat (1995)"]
    assert clean_titles(raw)[0] == ["Sabrina (1995)", "Sabrina (1954)", "Heat"]


def test_films_listed_twice_are_numbered() -> None:
    raw = ["Chasing Amy (1997)", "Chasing Amy (1997)", "Chasing Amy (1997)", "", ""]
    numbered = ["Chasing Amy (1997)", "Chasing Amy (1997) [2]", "Chasing Amy (1997) [3]", "untitled", "untitled [2]"]
    assert clean_titles(raw)[0] == numbered


@given(st.lists(st.text(alphabet="aA, ()The19[2]\t", max_size=20), max_size=20))
def test_titles_are_always_unique_and_never_empty(raw: list[str]) -> None:
    clean, _ = clean_titles(raw)
    assert len(clean) == len(raw)
    assert all(title.strip() for title in clean)
    assert len({title.casefold() for title in clean}) == len(clean)


def test_what_was_changed_is_counted() -> None:
    raw = ["Heat, The (1995)", "Sabrina (1995)", "Sabrina (1954)", "A&amp;B", "", "Zoo", "Zoo"]
    assert clean_titles(raw)[1] == {
        "article_moved": 1,
        "empty_named": 1,
        "entities_resolved": 1,
        "numbered_to_tell_apart": 1,
        "year_dropped": 1,
        "year_kept_to_tell_apart": 2,
    }
