import pytest

from llara_core.finetuning.learning_rate import rate_factor


@pytest.mark.parametrize(
    ("warmup_steps", "expected"),
    [
        # cos 36°, 72°, 108°, 144°
        (2, [0.5, 1.0, 0.904508, 0.654508, 0.345492, 0.095492]),
        # cos 30°, 60°, 90°, 120°, 150°
        (1, [1.0, 0.933013, 0.75, 0.5, 0.25, 0.066987]),
        (0, [1.0, 0.933013, 0.75, 0.5, 0.25, 0.066987]),
        (6, [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0]),
    ],
)
def test_warm_up_and_cosine_by_step(warmup_steps: int, expected: list[float]) -> None:
    assert [rate_factor(step, warmup_steps, 6) for step in range(1, 7)] == pytest.approx(expected, abs=1e-6)


def test_a_single_step_has_the_full_rate() -> None:
    assert rate_factor(1, 0, 1) == 1.0
