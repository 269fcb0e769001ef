"""Whether one model overtakes another as targets grow more popular: a mean over all targets would hide it."""

from collections.abc import Mapping

from llara_core.evaluation.comparison import Difference
from llara_core.reporting.table import listed


def crossover_in_words(first: str, second: str, by_popularity: Mapping[str, Difference]) -> str:
    """Say in which ranges of training interactions first − second is above 0, and in which below.

    A range counts where its own 95 % interval leaves out 0; the intervals aren't corrected for the number of ranges.
    """
    above = [label for label, found in by_popularity.items() if found.low is not None and found.low > 0]
    below = [label for label, found in by_popularity.items() if found.high is not None and found.high < 0]
    if above and below:
        return (
            f"{first} and {second} cross: {first} is better on targets with {listed(above)} training interactions, and "
            f"worse with {listed(below)}."
        )
    for labels, how, other in ((above, "better", "worse"), (below, "worse", "better")):
        if labels:
            where = f"{first} is {how} than {second} on targets with {listed(labels)} training interactions"
            return f"No crossover shows: {where}, and nowhere {other}."
    return f"No crossover shows: no range of popularity tells {first} and {second} apart."
