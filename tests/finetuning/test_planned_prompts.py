"""What each planned prompt shows, read back from its tokens and held against the sequences."""

import re
from collections import Counter

import pytest
from scipy import stats
from transformers import PreTrainedTokenizerFast

from llara_core.objectives.answer.prompts import AnswerPlan
from llara_core.objectives.curriculum import hybrid_examples
from tests.factories import make_curriculum
from tests.finetuning.runs import MIN_HISTORY, N_ITEMS, TITLES, Shown, make_plan, make_users, read_back

N_EXAMPLES = 6 * (10 - MIN_HISTORY)  # six users of ten items
MANY = {"n_steps": 6, "batch_size": N_EXAMPLES}  # each step one pass over all examples


def _read(tokenizer: PreTrainedTokenizerFast, plan: AnswerPlan) -> list[Shown]:
    return [read_back(tokenizer, plan[i], plan.settings.n_candidates) for i in range(len(plan))]


def _lists() -> list[list[int]]:
    users = make_users()
    return [users.items_of(row).tolist() for row in range(6)]


def _owner(shown: Shown, length: int) -> tuple[list[int], int] | None:
    """The training user and position whose history and target these are."""
    found = [
        (items, position)
        for items in _lists()
        for position in range(MIN_HISTORY, len(items))
        if items[position] == shown.target and items[max(0, position - length) : position] == shown.history
    ]
    return found[0] if len(found) == 1 else None


@pytest.mark.parametrize("schedule", ["hybrid_only", "text_only", "linear"])
@pytest.mark.parametrize("length", [3, 4])
def test_a_prompt_shows_a_training_user_s_history_and_asks_for_what_came_next(
    tokenizer: PreTrainedTokenizerFast, schedule: str, length: int
) -> None:
    plan = make_plan(tokenizer, curriculum=make_curriculum(schedule), history_length=length)
    for shown in _read(tokenizer, plan):
        assert _owner(shown, length) is not None, shown


@pytest.mark.parametrize("rule", ["outside_history", "outside_recent"])
def test_candidates_are_the_target_once_and_distinct_others(tokenizer: PreTrainedTokenizerFast, rule: str) -> None:
    for shown in _read(tokenizer, make_plan(tokenizer, negatives=rule, **MANY)):
        assert len(shown.candidates) == len(set(shown.candidates)) == 5
        assert shown.candidates.count(shown.target) == 1
        assert all(1 <= item <= N_ITEMS for item in shown.candidates)


def test_outside_history_offers_nothing_that_the_user_had_and_all_else(tokenizer: PreTrainedTokenizerFast) -> None:
    offered: Counter[int] = Counter()
    for shown in _read(tokenizer, make_plan(tokenizer, negatives="outside_history", **MANY)):
        items, _ = _owner(shown, 4)
        negatives = set(shown.candidates) - {shown.target}
        assert not negatives & set(items)
        offered.update(negatives)
    assert set(offered) == set(range(1, N_ITEMS + 1))  # also what only validation and test users had


def test_outside_recent_offers_what_the_user_had_before_and_after(tokenizer: PreTrainedTokenizerFast) -> None:
    earlier, later = 0, 0
    for shown in _read(tokenizer, make_plan(tokenizer, negatives="outside_recent", **MANY)):
        items, position = _owner(shown, 4)
        negatives = set(shown.candidates) - {shown.target}
        assert not negatives & set(shown.history)
        earlier += len(negatives & set(items[: max(0, position - 4)]))
        later += len(negatives & set(items[position + 1 :]))
    # Of 4 negatives among 25 or 26 allowed items. Positions 3 to 9 have 0, 0, 1, … 5 earlier ones and 6, 5, … 0 later
    # ones: in 252 prompts about 252 · 4 / 25.5 · 15 / 7 = 85 and 252 · 4 / 25.5 · 3 = 119 are offered.
    assert earlier > 50
    assert later > 75


def test_the_target_stands_at_every_place_equally_often(tokenizer: PreTrainedTokenizerFast) -> None:
    shown = _read(tokenizer, make_plan(tokenizer, **MANY))
    places = Counter(example.candidates.index(example.target) for example in shown)
    assert stats.chisquare([places[place] for place in range(5)]).pvalue > 0.001


def test_each_slot_stands_behind_its_title(tokenizer: PreTrainedTokenizerFast) -> None:
    plan = make_plan(tokenizer, curriculum=make_curriculum("hybrid_only"))
    for i in range(len(plan)):
        prompt, _ = plan[i]
        shown = read_back(tokenizer, plan[i], 5)
        assert shown.slots == shown.history + shown.candidates
        before: list[int] = []
        slots = iter(prompt.slot_items)
        for token, is_slot in zip(prompt.input_ids, prompt.slot_mask, strict=True):
            if is_slot:
                assert tokenizer.decode(before).endswith(TITLES[next(slots)])
                before = []
            else:
                before.append(token)
        assert next(slots, None) is None


def test_an_answer_is_the_title_behind_a_space_and_the_end_of_text(tokenizer: PreTrainedTokenizerFast) -> None:
    plan = make_plan(tokenizer)
    for i in range(len(plan)):
        target = read_back(tokenizer, plan[i], 5).target
        assert tokenizer.decode(plan[i][1]) == f" {TITLES[target]}<eos>"


def _template(shown: Shown) -> int:
    beginnings = ["This user has watched", "Here are the movies that", "#"]
    [found] = [i for i, words in enumerate(beginnings) if shown.text.startswith(words)]
    return found


def test_templates_are_drawn_equally_often(tokenizer: PreTrainedTokenizerFast) -> None:
    shown = _read(tokenizer, make_plan(tokenizer, **MANY))
    counts = Counter(map(_template, shown))
    assert stats.chisquare([counts[i] for i in range(3)]).pvalue > 0.001
    first, second = (shown[start : start + N_EXAMPLES] for start in (0, N_EXAMPLES))
    passes = [{(tuple(x.history), x.target): _template(x) for x in part} for part in (first, second)]
    assert passes[0].keys() == passes[1].keys()
    assert passes[0] != passes[1]  # drawn anew in each pass


def test_prompts_say_how_many_candidates_there_are(tokenizer: PreTrainedTokenizerFast) -> None:
    for size in (2, 5):
        for shown in _read(tokenizer, make_plan(tokenizer, n_candidates=size)):
            numbers = re.findall(r"\d+", re.sub(r"#\d\d", "", shown.text))
            assert numbers == [str(size)]


def test_the_mode_of_a_step_changes_nothing_but_the_slots(tokenizer: PreTrainedTokenizerFast) -> None:
    hybrid, text, mixed = (
        _read(tokenizer, make_plan(tokenizer, curriculum=make_curriculum(schedule)))
        for schedule in ("hybrid_only", "text_only", "linear")
    )
    # Steps sort their examples by length, in which slots count.
    for start in range(0, len(hybrid), 4):
        words = [sorted((x.text, x.target) for x in part[start : start + 4]) for part in (hybrid, text, mixed)]
        assert words[0] == words[1] == words[2]
    assert all(x.slots for x in hybrid)
    assert not any(x.slots for x in text)


def test_steps_are_wholly_hybrid_or_wholly_text_as_the_curriculum_says(tokenizer: PreTrainedTokenizerFast) -> None:
    plan = make_plan(tokenizer, n_steps=20, seed=3)
    modes = [bool(hybrid_examples(plan.settings.curriculum, step, 20, 4, 3)[0]) for step in range(1, 21)]
    assert len(set(modes)) == 2
    found = [{bool(plan[(step - 1) * 4 + place][0].slot_items) for place in range(4)} for step in range(1, 21)]
    assert found == [{mode} for mode in modes]
    assert [plan.modes_of(step) for step in range(1, 21)] == [["hybrid" if mode else "text"] * 4 for mode in modes]


def test_passes_hold_every_example_once_in_an_order_of_their_own(tokenizer: PreTrainedTokenizerFast) -> None:
    text_only = make_curriculum("text_only")

    def orders(seed: int) -> list[list[tuple[tuple[int, ...], int]]]:
        plan = make_plan(tokenizer, seed=seed, n_steps=2 * N_EXAMPLES, batch_size=1, curriculum=text_only)
        shown = [(tuple(x.history), x.target) for x in _read(tokenizer, plan)]
        return [shown[:N_EXAMPLES], shown[N_EXAMPLES:]]

    first, second = orders(0)
    in_order = [(tuple(x[max(0, p - 4) : p]), x[p]) for x in _lists() for p in range(MIN_HISTORY, 10)]
    assert sorted(first) == sorted(second) == sorted(in_order)
    assert in_order not in (first, second)
    assert first != second
    assert orders(1)[0] != first


def test_the_seed_decides_candidates_and_templates(tokenizer: PreTrainedTokenizerFast) -> None:
    def drawn(seed: int) -> dict[tuple[tuple[int, ...], int], tuple[list[int], int]]:
        one_pass = make_plan(tokenizer, seed=seed, n_steps=1, batch_size=N_EXAMPLES)
        shown = _read(tokenizer, one_pass)
        return {(tuple(x.history), x.target): (x.candidates, _template(x)) for x in shown}

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert first == again
    same = sum(first[key][0] == other[key][0] for key in first)
    assert same < 3
    assert any(first[key][1] != other[key][1] for key in first)
