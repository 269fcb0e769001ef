"""Which lists, and in which words."""

import numpy as np
import pytest

from llara_core.errors import RequestError
from llara_core.hybrid.questions import encode_questions
from llara_core.outside_judge.lists import Estimate, Lists, choose_lists, compose_prompts, most_tokens
from llara_core.params.params import Params
from llara_core.sequences.windows import unique_histories
from tests.outside_judge.conftest import make_tables
from tests.outside_judge.test_endpoint import settings_for


def _choose(params: Params, draws: int = 2, limit: int | None = None, seed: int = 0) -> Lists:
    tables = make_tables()
    return choose_lists(params, tables, tables.sets, "last", draws, limit, seed)


def _asked(lists: Lists) -> list[tuple[int, int]]:
    """Example and draw, in the order of asking."""
    return [(int(lists.sets.example_ids[row]), int(lists.sets.draws[row])) for row in lists.order]


def test_a_prompt_is_the_dataset_s_words(params: Params) -> None:
    assert _choose(params, draws=1).prompts[0] == (
        "This user has watched Toy Story, GoldenEye in the past. Please predict the next movie this user will have "
        "watched. Choose the answer from the following 3 movies: Four Rooms, Alien, Alien 3. Answer:"
    )


def test_a_prompt_is_what_the_language_model_is_asked_in_text(params: Params, writer, encoder) -> None:
    tables = make_tables()
    asked = params.model_copy(update={"eval": params.eval.model_copy(update={"template": 2})})
    shown, example = unique_histories(tables.sequences, tables.sets, params.split.history_length)
    encoded = encode_questions(tables.sets, shown[example], writer, encoder, template=2, mode="text")
    texts = [encoder.decode(prompt.input_ids) for prompt in encoded]
    assert compose_prompts(asked, tables, tables.sets) == texts
    assert texts[1].startswith("Toy Story, GoldenEye — a user watched these movies in this order.")


def test_a_smaller_sample_is_the_beginning_of_a_greater_one(params: Params) -> None:
    whole = _asked(_choose(params))
    assert sorted(whole) == [(example, draw) for example in range(4) for draw in range(2)]
    assert [draw for _, draw in whole] == [0] * 4 + [1] * 4
    assert [example for example, _ in whole[:4]] == [example for example, _ in whole[4:]]
    for limit in range(1, 9):
        lists = _choose(params, limit=limit)
        assert _asked(lists) == whole[:limit]
        assert lists.in_order() == [lists.prompts[row] for row in lists.order]
        stored = list(zip(lists.sets.example_ids.tolist(), lists.sets.draws.tolist(), strict=True))
        assert stored == sorted(stored)  # as the tables of the evaluation have them
    assert _asked(_choose(params, limit=99)) == whole
    assert _asked(_choose(params, draws=1)) == whole[:4]


def test_another_seed_draws_others_and_every_user_is_as_likely(params: Params) -> None:
    first = [_asked(_choose(params, limit=1, seed=seed))[0][0] for seed in range(200)]
    assert np.bincount(first, minlength=4).min() > 30  # of 50; the chance of that is 99.9 %


def test_all_lists_are_those_of_the_table(params: Params) -> None:
    assert _choose(params).sets.digest == make_tables().sets.digest


def test_what_is_not_stored_can_not_be_asked(params: Params) -> None:
    with pytest.raises(RequestError, match=r"--draws must be ≤ 2, .* of --positions last, got 3"):
        _choose(params, draws=3)
    tables = make_tables()
    with pytest.raises(RequestError, match=r"--draws must be ≤ 0, .* of --positions all, got 1"):
        choose_lists(params, tables, tables.sets, "all", 1, None, 0)


def test_the_most_tokens_are_bytes_and_a_frame_and_a_reply(tokenizer) -> None:
    settings = settings_for("https://h/v1", reply_tokens=9)
    assert most_tokens(settings, "Amélie") == 7 + 128 + 9
    assert most_tokens(settings_for("https://h/v1", reply_tokens=9, system="Sì"), "Amélie") == 7 + 3 + 128 + 9
    for text in ("Heat", "Amélie", "千と千尋の神隠し", "\x00\u2028🎬"):
        assert len(tokenizer(text).input_ids) + 9 <= most_tokens(settings, text)


def test_an_estimate_adds_up() -> None:
    settings = settings_for("https://h/v1", reply_tokens=9)
    assert Estimate.of(settings, ["x" * 40, "ä" * 21]) == Estimate(2, 17, 40 + 42 + 2 * (128 + 9))  # 61 / 3.5
    assert Estimate.of(settings, []) == Estimate(0, 0, 0)
