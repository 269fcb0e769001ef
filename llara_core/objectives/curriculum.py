"""The curriculum: from text-only to hybrid prompts as a function of the optimiser step (paper, section 3.3)."""

from llara_core.errors import ParamsError
from llara_core.sequences.random_words import random_shares, random_words

_STREAM = 0x43757272  # "Curr": keeps these draws apart from those of other purposes


def hybrid_probability(schedule: str, step: int, n_steps: int) -> float:
    """Probability that the batch of optimiser step `step` (1 to n_steps) uses hybrid prompts.

    `linear` is the paper's τ/T (equation 8) counted such that the last step is surely hybrid.

    Raises:
        ParamsError: the schedule is unknown.
    """
    match schedule:
        case "linear":
            return step / n_steps
        case "hybrid_only":
            return 1.0
        case "text_only":
            return 0.0
    raise ParamsError(f"curriculum.schedule must be linear, hybrid_only or text_only, got {schedule!r}")


def is_hybrid(schedule: str, step: int, n_steps: int, seed: int) -> bool:
    """Draw the mode of a step: the same for every process and after every resume, for it depends on nothing else."""
    return float(random_shares(random_words(seed, _STREAM, step))) < hybrid_probability(schedule, step, n_steps)
