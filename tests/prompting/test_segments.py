from hypothesis import given
from hypothesis import strategies as st

from llara_core.prompting.segments import ItemSlot, PromptWriter, Text

TITLES = ["", "Heat", "Alien", "Babe"]
WRITER = PromptWriter(
    templates=(
        "Has {consumed} {history}. Pick of {n_candidates} {items}: {candidates}. {item}:",
        "{candidates}<{history}",
    ),
    separator=", ",
    fusion="append",
    nouns={"item": "movie", "items": "movies", "consumed": "watched"},
    titles=TITLES,
)


def test_a_text_only_prompt_is_one_text_without_slots() -> None:
    segments = WRITER.compose(0, [1, 2], [3, 1], "text")
    assert segments == [Text("Has watched Heat, Alien. Pick of 2 movies: Babe, Heat. movie:")]


def test_a_hybrid_prompt_has_a_slot_behind_every_title() -> None:
    assert WRITER.compose(0, [1], [3, 1], "hybrid") == [
        Text("Has watched Heat"),
        ItemSlot(1),
        Text(". Pick of 2 movies: Babe"),
        ItemSlot(3),
        Text(", Heat"),
        ItemSlot(1),
        Text(". movie:"),
    ]


def test_an_id_prompt_has_slots_instead_of_titles() -> None:
    assert WRITER.compose(0, [1, 2], [3, 1], "id") == [
        Text("Has watched "),
        ItemSlot(1),
        Text(", "),
        ItemSlot(2),
        Text(". Pick of 2 movies: "),
        ItemSlot(3),
        Text(", "),
        ItemSlot(1),
        Text(". movie:"),
    ]


def test_lists_come_in_the_template_s_order() -> None:
    assert WRITER.compose(1, [1], [2], "text") == [Text("Alien<Heat")]


def test_braces_in_titles_are_only_characters() -> None:
    writer = PromptWriter(("{history}|{candidates}",), ", ", "append", {}, ["", "{history}", "{0}"])
    assert writer.compose(0, [1], [2], "text") == [Text("{history}|{0}")]


def test_an_answer_is_the_title_after_a_space() -> None:
    assert WRITER.answer(2) == Text(" Alien")


@given(st.lists(st.integers(1, 3), max_size=6), st.lists(st.integers(1, 3), min_size=1, max_size=6), st.integers(0, 1))
def test_both_modes_say_the_same_words_and_slots_follow_the_lists(
    history: list[int], candidates: list[int], template: int
) -> None:
    text = WRITER.compose(template, history, candidates, "text")
    hybrid = WRITER.compose(template, history, candidates, "hybrid")
    assert "".join(part.text for part in hybrid if isinstance(part, Text)) == text[0].text
    slots = [part.item_id for part in hybrid if isinstance(part, ItemSlot)]
    assert slots == (candidates + history if template else history + candidates)
