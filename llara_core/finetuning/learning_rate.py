"""The learning rate's course: linear warm-up, then half a cosine; no step of a training has rate 0."""

import math


def rate_factor(step: int, warmup_steps: int, n_steps: int) -> float:
    """Which share of its learning rate optimiser step `step` (1 to n_steps) has.

    The warm-up rises in equal parts to the full rate at its last step, or begins with the full rate where it has no
    steps. From there half a cosine falls towards 0, which it would reach in the step after the last.
    """
    peak = max(warmup_steps, 1)
    if step <= peak:
        return step / peak
    return (1 + math.cos(math.pi * (step - peak) / (n_steps + 1 - peak))) / 2
