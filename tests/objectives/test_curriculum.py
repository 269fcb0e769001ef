import pytest

from llara_core.errors import ParamsError
from llara_core.objectives.curriculum import hybrid_probability, is_hybrid


def test_the_linear_schedule_rises_from_one_step_s_share_to_one() -> None:
    assert [hybrid_probability("linear", step, 4) for step in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]


def test_constant_schedules_and_unknown_ones() -> None:
    assert hybrid_probability("hybrid_only", 1, 9) == 1.0
    assert hybrid_probability("text_only", 9, 9) == 0.0
    with pytest.raises(ParamsError, match="curriculum.schedule must be linear"):
        hybrid_probability("cubic", 1, 9)


def test_draws_follow_the_schedule_and_end_hybrid() -> None:
    modes = [is_hybrid("linear", step, 2000, seed=5) for step in range(1, 2001)]
    assert abs(sum(modes[:500]) / 500 - 0.125) < 0.05
    assert abs(sum(modes[-500:]) / 500 - 0.875) < 0.05
    assert modes[-1]


def test_modes_do_not_depend_on_the_order_of_asking() -> None:
    forwards = [is_hybrid("linear", step, 50, seed=1) for step in range(1, 51)]
    backwards = [is_hybrid("linear", step, 50, seed=1) for step in range(50, 0, -1)]
    assert forwards == backwards[::-1]
    assert forwards != [is_hybrid("linear", step, 50, seed=2) for step in range(1, 51)]
