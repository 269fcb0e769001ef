"""How many draws come out hybrid, exactly: the interval of a sum of draws whose probabilities differ."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from tests.factories import make_curriculum

SCHEDULES: dict[str, dict[str, float]] = {
    "linear": {},
    "cosine": {},
    "reverse": {},
    "hybrid_only": {},
    "text_only": {},
    "step": {"text": 0.5},
    "power": {"exponent": 2.0},
    "two_stage": {"text": 0.25, "projector": 0.5},
}
COURSES: dict[str, Callable[[int, int], float]] = {  # of SCHEDULES, by the formulas of docs/variants.md
    "linear": lambda t, n: t / n,
    "cosine": lambda t, n: (1 - math.cos(math.pi * t / n)) / 2,
    "reverse": lambda t, n: (n + 1 - t) / n,
    "hybrid_only": lambda t, n: 1.0,
    "text_only": lambda t, n: 0.0,
    "step": lambda t, n: float(t > n / 2),
    "power": lambda t, n: (t / n) ** 2,
    "two_stage": lambda t, n: float(t > n / 4),
}


def make_schedule(name: str, drawn_per: str) -> object:
    return make_curriculum(name, drawn_per, **SCHEDULES[name])


def interval(probabilities: Sequence[float], miss: float = 1e-3) -> tuple[int, int]:
    """The fewest and the most of independent draws that come true, but for `miss` / 2 on either side.

    Where all probabilities are the same it is the binomial distribution's; where all are 0 or 1 it is one number.
    """
    shares = np.ones(1)
    for probability in probabilities:
        shares = np.convolve(shares, [1 - probability, probability])
    up_to = shares.cumsum()
    return int(np.argmax(up_to > miss / 2)), int(np.argmax(up_to >= 1 - miss / 2))
