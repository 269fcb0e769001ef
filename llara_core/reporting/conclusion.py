"""What may and may not be concluded from a suite, in one sentence, by rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llara_core.evaluation.comparison_report import Pair, Verdict
from llara_core.experiments.outcome import Outcome
from llara_core.reporting.table import listed

_FEWEST_SEEDS = 3  # of which a recipe can be claimed to be better, not only its runs
_ORDER: Sequence[Verdict] = ("first", "second", "undecided", "alike", "contradictory")


@dataclass(frozen=True)
class Scope:
    """What a sentence can reach.

    Attributes:
        baseline: the arm that the others are compared with.
        examples: of tuning; None where that isn't known.
        left_out: arms without a result, and how that is.
    """

    baseline: str
    examples: int | None
    left_out: Mapping[str, str]


def conclude(outcome: Outcome, scope: Scope) -> str:
    """Word the verdicts of `compare`, how far they reach, and what isn't judged."""
    parts = [f"{name} {how} and isn't judged" for name, how in scope.left_out.items()]
    beside = [entry.own.name for entry in outcome.beside if entry.own.name != scope.baseline]
    if beside:
        parts.append(f"{listed(beside)} can only stand beside, without a difference")
    report = outcome.compared
    if report is None:
        return f"Nothing may be concluded, as no arm can be paired with {scope.baseline}{_joined('; ', parts)}."
    verdicts = {verdict: [pair for pair in report.pairs if pair.verdict == verdict] for verdict in _ORDER}
    found = "; ".join(_words(verdict, pairs, scope.baseline) for verdict, pairs in verdicts.items() if pairs)
    start = f"On {report.n_lists:,} lists of {report.n_users:,} users, "
    fewest = min(len(own.seed_means) for own in report.variants)
    return f"{start}{found}; {_reach(fewest, scope.examples)}{_joined('; ', parts)}."


def _joined(before: str, parts: Sequence[str]) -> str:
    return "".join(f"{before}{part}" for part in parts)


def _words(verdict: Verdict, pairs: Sequence[Pair], baseline: str) -> str:
    names = [pair.first for pair in pairs]
    is_or_are = "is" if len(pairs) == 1 else "are"
    if verdict in ("first", "second"):
        how = "better" if verdict == "first" else "worse"
        measured = listed([f"{pair.first} (by {abs(pair.difference.mean):.4f})" for pair in pairs])
        return f"{measured} {is_or_are} {how} than {baseline}"
    if verdict == "undecided":
        return f"{listed(names)} can't be told apart from {baseline}, which doesn't show them to be equal"
    if verdict == "alike":
        return f"{listed(names)} and {baseline} count alike on every list"
    return f"no claim may be made about {listed(names)}, of which interval and test don't agree"


def _reach(fewest_seeds: int, examples: int | None) -> str:
    budget = "" if examples is None else f" tuned on {examples:,} examples"
    if fewest_seeds < _FEWEST_SEEDS:
        return (
            f"this is about these very runs{budget}, of which another seed may differ by more than the intervals say, "
            "and not about recipes, longer training, other data or other models"
        )
    return (
        f"this is about recipes{budget} and tested on these lists, and not about longer training, other data or other "
        "models"
    )
