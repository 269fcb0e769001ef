"""How long training takes, from a rate in tokens a second.

The work is in the linear maps, M weights in the layers that are read: 2 M operations a token forwards, 2 M backwards to
the activations (the weights are constant), and 2 M more where gradient checkpointing makes activations anew; attention
and all else come on top of that, and so a rate is measured, or given, for tokens that are trained on. Reading alone, as
validation does, is a half of that work, or a third with checkpointing.
"""

from dataclasses import dataclass

from llara_core.planning.workload import Workload


@dataclass(frozen=True)
class Duration:
    """Seconds.

    Attributes:
        rate: tokens a second, padding counted.
        origin: where the rate is from.
        training: of all steps.
        validation: of all measurements.
    """

    rate: float
    origin: str
    training: float
    validation: float


def estimate_duration(workload: Workload, rate: float, origin: str, *, checkpointing: bool) -> Duration:
    """Divide the tokens by the `rate` of training (tokens a second)."""
    reading = rate * (3 if checkpointing else 2)
    return Duration(rate, origin, workload.padded_tokens / rate, workload.validated / reading)
