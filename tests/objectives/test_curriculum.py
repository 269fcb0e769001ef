import numpy as np
import pytest
from pydantic import ValidationError

from llara_core.objectives.answer.prompts import AnswerPlan
from llara_core.objectives.curriculum import hybrid_examples, hybrid_probability, trains_projector_alone
from llara_core.params.loading import describe_problems
from tests.factories import make_curriculum
from tests.finetuning.runs import make_plan, read_back
from tests.objectives.realised import COURSES, SCHEDULES, interval, make_schedule


@pytest.mark.parametrize(
    ("schedule", "own", "expected"),
    [
        ("linear", {}, [0.25, 0.5, 0.75, 1.0]),
        ("cosine", {}, [0.1464466, 0.5, 0.8535534, 1.0]),  # (1 − cos 45°) / 2, …
        ("reverse", {}, [1.0, 0.75, 0.5, 0.25]),
        ("hybrid_only", {}, [1, 1, 1, 1]),
        ("text_only", {}, [0, 0, 0, 0]),
        ("step", {"text": 0.5}, [0, 0, 1, 1]),
        ("step", {"text": 0.2}, [0, 1, 1, 1]),  # .8 steps, rounded
        ("power", {"exponent": 2.0}, [0.0625, 0.25, 0.5625, 1.0]),
        ("power", {"exponent": 0.5}, [0.5, 0.7071068, 0.8660254, 1.0]),
        ("two_stage", {"text": 0.25, "projector": 0.5}, [0, 1, 1, 1]),
    ],
)
def test_probabilities_of_four_steps_by_hand(schedule: str, own: dict[str, float], expected: list[float]) -> None:
    curriculum = make_curriculum(schedule, **own)
    assert [hybrid_probability(curriculum, step, 4) for step in (1, 2, 3, 4)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "projector", "alone"),
    [(0.3, 0.4, [4, 5, 6, 7]), (0.3, 0.7, [4, 5, 6, 7, 8, 9, 10]), (0.6, 0.1, [7])],
)
def test_the_projector_learns_alone_right_after_the_text(text: float, projector: float, alone: list[int]) -> None:
    curriculum = make_curriculum("two_stage", text=text, projector=projector)
    steps = range(1, 11)
    assert [step for step in steps if trains_projector_alone(curriculum, step, 10)] == alone
    assert [step for step in steps if not hybrid_probability(curriculum, step, 10)] == list(range(1, alone[0]))


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "two_stage"])
def test_in_no_other_schedule_it_does(schedule: str) -> None:
    curriculum = make_curriculum(schedule, **SCHEDULES[schedule])
    assert not any(trains_projector_alone(curriculum, step, 8) for step in range(1, 9))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("drawn_per", ["batch", "example"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_as_many_are_hybrid_as_the_probabilities_say(schedule: str, drawn_per: str, seed: int) -> None:
    """In every tenth of a training, and in all of it."""
    n_steps, batch = 2000, 3
    curriculum, course = make_schedule(schedule, drawn_per), COURSES[schedule]
    drawn = np.array([hybrid_examples(curriculum, step, n_steps, batch, seed) for step in range(1, n_steps + 1)])
    own = drawn[:, : 1 if drawn_per == "batch" else batch]
    for part in (slice(0, n_steps), *(slice(start, start + 200) for start in range(0, n_steps, 200))):
        least, most = interval([course(step + 1, n_steps) for step in range(n_steps)[part] for _ in own[0]])
        assert least <= own[part].sum() <= most, (part, least, most)


def test_a_batch_is_of_one_mode_or_of_each_example_s_own() -> None:
    together, apart = (
        np.array([hybrid_examples(make_curriculum("linear", per), step, 800, 4, seed=5) for step in range(200, 601)])
        for per in ("batch", "example")
    )
    assert set(together.sum(axis=1)) == {0, 4}
    assert set(apart.sum(axis=1)) == {0, 1, 2, 3, 4}
    assert abs(np.corrcoef(apart.T.astype(float)) - np.eye(4)).max() < 0.2  # each place has its own
    # At probability near ½ the number of hybrid ones of four has variance 1, and not 4.
    assert apart[100:301].sum(axis=1).var() == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize("drawn_per", ["batch", "example"])
def test_draws_depend_on_seed_and_step_alone(drawn_per: str) -> None:
    curriculum = make_curriculum("linear", drawn_per)

    def draw(seed: int, steps: range) -> list[list[bool]]:
        return [hybrid_examples(curriculum, step, 50, 4, seed).tolist() for step in steps]

    assert draw(1, range(1, 51)) == draw(1, range(50, 0, -1))[::-1]
    assert draw(1, range(1, 51)) != draw(2, range(1, 51))


@pytest.mark.parametrize("drawn_per", ["batch", "example"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_trains_on_the_same_examples_in_the_same_steps(tokenizer, schedule: str, drawn_per: str) -> None:
    """Or arms that are compared would differ in more than the mode."""

    def steps(plan: AnswerPlan) -> list[list[tuple[str, int]]]:
        shown = [read_back(tokenizer, plan[i], 5) for i in range(len(plan))]
        return [sorted((x.text, x.target) for x in shown[start : start + 4]) for start in range(0, len(shown), 4)]

    plan = make_plan(tokenizer, curriculum=make_curriculum(schedule, drawn_per, **SCHEDULES[schedule]))
    assert steps(plan) == steps(make_plan(tokenizer, curriculum=make_curriculum("hybrid_only")))


def test_examples_of_one_step_show_what_was_drawn_for_each(tokenizer) -> None:
    plan = make_plan(tokenizer, curriculum=make_curriculum("linear", "example"), n_steps=8)
    mixed = 0
    for step in range(1, 9):
        drawn = hybrid_examples(plan.settings.curriculum, step, 8, 4, plan.settings.seed)
        prompts = [plan[4 * (step - 1) + place][0] for place in range(4)]
        assert sum(bool(prompt.slot_items) for prompt in prompts) == drawn.sum()
        # Whose mode it is: the history is the example's, in whatever order a step's lengths put it.
        users = {tuple(shown.history): bool(shown.slots) for shown in _read(tokenizer, plan, step)}
        text_only = make_plan(tokenizer, curriculum=make_curriculum("text_only"), n_steps=8)
        examples = text_only.examples_of(step)
        lists = text_only._sequences
        for row, position, is_hybrid in zip(examples.rows, examples.positions, drawn, strict=True):
            history = lists.items_of(row)[max(0, position - 4) : position].tolist()
            assert users[tuple(history)] == is_hybrid
        mixed += len({bool(prompt.slot_items) for prompt in prompts}) == 2
    assert mixed > 2


def _read(tokenizer, plan: AnswerPlan, step: int) -> list:
    return [read_back(tokenizer, plan[4 * (step - 1) + place], 5) for place in range(4)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"schedule": "step"}, "step.text is missing"),
        ({"schedule": "linear", "text": 0.5}, "linear.text is unknown"),
        ({"schedule": "step", "text": 1.0}, "step.text must be < 1.0, got 1.0"),
        ({"schedule": "power", "exponent": 0.0}, "power.exponent must be > 0.0, got 0.0"),
        (
            {"schedule": "two_stage", "text": 0.5, "projector": 0.6},
            "two_stage: text + projector must be ≤ 1, got 1.1",
        ),
        ({"schedule": "cubic"}, "must have 'schedule' one of 'linear', 'cosine'"),
        ({"schedule": "linear", "drawn_per": "epoch"}, "drawn_per must be 'batch' or 'example', got 'epoch'"),
    ],
)
def test_schedules_have_options_of_their_own(fields: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_curriculum(**fields)
    assert expected in describe_problems(caught.value)
