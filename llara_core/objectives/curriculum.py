"""The curriculum: from text-only to hybrid prompts as a function of the optimiser step (paper, section 3.3)."""

import math

import numpy as np

from llara_core.params.curriculum import Curriculum, PowerCourse, StepCourse, TwoStageCourse
from llara_core.sequences.random_words import random_shares, random_words

_STREAM = 0x43757272  # "Curr": keeps these draws apart from those of other purposes


def hybrid_probability(curriculum: Curriculum, step: int, n_steps: int) -> float:
    """Probability that prompts of optimiser step `step` (1 to n_steps) are hybrid.

    `linear` is the paper's τ/T (equation 8) counted such that the last step is surely hybrid; `reverse` is it from its
    end to its beginning.
    """
    share = step / n_steps
    match curriculum:
        case PowerCourse():
            return share**curriculum.exponent
        case StepCourse() | TwoStageCourse():
            return float(step > round(curriculum.text * n_steps))
    match curriculum.schedule:
        case "linear":
            return share
        case "cosine":
            return (1 - math.cos(math.pi * share)) / 2
        case "reverse":
            return (n_steps + 1 - step) / n_steps
    return float(curriculum.schedule == "hybrid_only")


def hybrid_examples(curriculum: Curriculum, step: int, n_steps: int, batch_size: int, seed: int) -> np.ndarray:
    """[B] which examples of a step are hybrid, in the order in which they are drawn.

    It is the same for every process and after every resume, and however a step is divided, for it depends on nothing
    else.
    """
    coordinates = [step] if curriculum.drawn_per == "batch" else [step, np.arange(batch_size)]
    drawn = random_shares(random_words(seed, _STREAM, *coordinates)) < hybrid_probability(curriculum, step, n_steps)
    return np.broadcast_to(drawn, batch_size)


def trains_projector_alone(curriculum: Curriculum, step: int, n_steps: int) -> bool:
    """Whether only the projector learns in a step (CoLLM's second stage, arXiv 2310.19488)."""
    if not isinstance(curriculum, TwoStageCourse):
        return False
    begin, end = (round(share * n_steps) for share in (curriculum.text, curriculum.text + curriculum.projector))
    return begin < step <= end
