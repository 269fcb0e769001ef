"""Every pair of several variants: the numbers, and in words what they allow to say."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np

from llara_core.errors import ArtifactError
from llara_core.evaluation.comparison import EQUAL, RESAMPLES, Difference, compare_pair, require_same_lists
from llara_core.evaluation.remarks import HARD
from llara_core.evaluation.significance import holm
from llara_core.evaluation.slices import slices_of
from llara_core.evaluation.statistics import mean_with_interval, share_with_interval
from llara_core.tables.predictions import Asked

LEVEL = 0.05
Verdict = Literal["first", "second", "alike", "undecided", "contradictory"]


@dataclass(frozen=True)
class Variant:
    """What one variant's answers count for.

    Attributes:
        name: what the report calls it.
        asked: R lists.
        values: [S, R] of a metric, by seed.
        seeds: S, where they are known: then two variants are compared by those that both have. Else they are paired in
            order.
    """

    name: str
    asked: Asked
    values: np.ndarray
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Own:
    """A variant by itself: its mean with the 95 % interval between users, and the spread between seeds.

    There is no interval where all users have the same mean, and that isn't 0 or 1.
    """

    name: str
    mean: float
    low: float | None
    high: float | None
    seed_means: list[float]
    seed_sd: float | None


@dataclass(frozen=True)
class Pair:
    """Two variants; `p_holm` is p corrected for the number of pairs of the report."""

    first: str
    second: str
    difference: Difference
    p_holm: float
    verdict: Verdict
    words: str
    slices: dict[str, dict[str, Difference]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All variants and all pairs of them."""

    metric: str
    n_lists: int
    n_users: int
    variants: list[Own]
    pairs: list[Pair]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON's types, without a NaN or an infinity."""
        return asdict(self)


def report(
    variants: Sequence[Variant],
    metric: str,
    with_slices: bool,
    seed: int,
    n_resamples: int = RESAMPLES,
    *,
    with_first_alone: bool = False,
) -> Report:
    """Compare every variant with every later one, or `with_first_alone` every later one with the first.

    The latter asks less, and so Holm's correction costs it less.

    Raises:
        ArtifactError: two were asked about different lists, or have no seed in common.
    """
    for other in variants[1:]:
        require_same_lists(variants[0].asked, other.asked, (variants[0].name, other.name))
    wanted = ((other, variants[0]) for other in variants[1:]) if with_first_alone else combinations(variants, 2)
    couples, asked = [_by_common_seeds(*couple) for couple in wanted], variants[0].asked
    differences = [_compare(*couple, np.full(len(asked), True), seed, n_resamples) for couple in couples]
    pairs = []
    corrections = " after Holm's correction" if len(couples) > 1 else ""
    corrected = holm([difference.p for difference in differences])
    for (first, second), difference, p in zip(couples, differences, corrected, strict=True):
        verdict = _verdict(difference, p)
        words = _in_words(first.name, second.name, difference, f"p = {p:.2g}{corrections}", verdict)
        pairs.append(Pair(first.name, second.name, difference, p, verdict, words))
    if with_slices:
        pairs = [
            replace(pair, slices=_slices(*couple, asked, seed, n_resamples))
            for pair, couple in zip(pairs, couples, strict=True)
        ]
    n_users = len(np.unique(asked.sets.user_ids))
    notes = [*_notes(variants), *_notes_on_seeds(variants, couples)]
    return Report(metric, len(asked), n_users, [describe(variant) for variant in variants], pairs, notes)


def _by_common_seeds(first: Variant, second: Variant) -> tuple[Variant, Variant]:
    if first.seeds is None or second.seeds is None or first.seeds == second.seeds:
        return first, second
    common = tuple(sorted(set(first.seeds).intersection(second.seeds)))
    if not common:
        raise ArtifactError(f"{first.name} and {second.name} must have a seed in common, got none")
    return _only(first, common), _only(second, common)


def _only(variant: Variant, seeds: tuple[int, ...]) -> Variant:
    rows = [variant.seeds.index(seed) for seed in seeds] if variant.seeds else []
    return replace(variant, values=variant.values[rows], seeds=seeds)


def _compare(first: Variant, second: Variant, rows: np.ndarray, seed: int, n_resamples: int) -> Difference:
    users, rng = first.asked.sets.user_ids[rows], np.random.default_rng(seed)
    return compare_pair(first.values[:, rows], second.values[:, rows], users, rng, n_resamples)


def _slices(
    first: Variant, second: Variant, asked: Asked, seed: int, n_resamples: int
) -> dict[str, dict[str, Difference]]:
    """By property and range of the lists, as `asked` counts: the same parts for all pairs."""
    return {
        name: {label: _compare(first, second, mask, seed, n_resamples) for label, mask in masks.items()}
        for name, masks in slices_of(asked).items()
    }


def describe(variant: Variant) -> Own:
    """Describe a variant by itself."""
    averaged, users = variant.values.mean(axis=0), variant.asked.sets.user_ids
    if np.isin(averaged, (0, 1)).all():  # also of seeds that all hit, or all miss: t would have no width there
        mean, low, high = share_with_interval(averaged.astype(bool), users)
    else:
        mean, low, high = mean_with_interval(averaged, users)
    varies = high - low > EQUAL
    means = variant.values.mean(axis=1)
    deviation = float(means.std(ddof=1)) if len(means) > 1 else None
    return Own(variant.name, mean, low if varies else None, high if varies else None, means.tolist(), deviation)


def _verdict(difference: Difference, p: float) -> Verdict:
    if difference.lists.ties == difference.n_lists:
        return "alike"
    low, high = difference.low, difference.high
    is_apart = p < LEVEL if low is None or high is None else low > 0 or high < 0
    if not is_apart and p >= LEVEL:
        return "undecided"
    users = difference.users
    if not is_apart or p >= LEVEL or (users.wins > users.losses) != (difference.mean > 0):
        return "contradictory"  # also where most users lose a little, and few gain much
    return "first" if difference.mean > 0 else "second"


def _in_words(first: str, second: str, difference: Difference, p: str, verdict: Verdict) -> str:
    if verdict == "alike":
        return f"{first} and {second} count alike on every list."
    better, worse = (second, first) if verdict == "second" else (first, second)
    facts, on = f"{_interval_in_words(difference, verdict == 'second')}, {p}", f"on {difference.n_users} users"
    if verdict == "undecided":
        reason = "there is no interval" if difference.low is None else "the interval of the difference holds 0"
        return f"{first} and {second} cannot be told apart {on}: {reason} ({facts})."
    if verdict == "contradictory":
        return f"No claim about {first} and {second} {on}: the interval and the test over users do not agree ({facts})."
    return f"{better} is better than {worse} by {abs(difference.mean):.4f} {on} ({facts})."


def _interval_in_words(difference: Difference, swapped: bool) -> str:
    if difference.low is None or difference.high is None:
        return "all users differ by the same" if difference.n_users > 1 else "one user"
    ends = (-difference.high, -difference.low) if swapped else (difference.low, difference.high)
    return f"95 % interval {ends[0]:+.4f} to {ends[1]:+.4f}"


def _notes_on_seeds(variants: Sequence[Variant], couples: Sequence[tuple[Variant, Variant]]) -> list[str]:
    """Say which comparisons leave out seeds that only one variant has."""
    whole = {variant.name: variant.seeds for variant in variants}
    return [
        f"{first.name} and {second.name} are compared by {_common_seeds(first.seeds or ())}."
        for first, second in couples
        if (first.seeds, second.seeds) != (whole[first.name], whole[second.name])
    ]


def _common_seeds(seeds: tuple[int, ...]) -> str:
    if len(seeds) > 1:
        return f"common seeds: {', '.join(map(str, seeds))}"
    return f"one common seed, {seeds[0]}: another may differ by more than the interval says"


def _notes(variants: Sequence[Variant]) -> list[str]:
    """What a reader of the numbers must know."""
    notes = [f"{HARD[0].upper()}{HARD[1:]}."] if variants[0].asked.chosen_by else []
    if single := [variant.name for variant in variants if len(variant.values) == 1]:
        notes.append(
            f"One run each of {', '.join(single)}: another seed of it may differ by more than the intervals say."
        )
    for variant in variants:
        for one, other in combinations(range(len(variant.values)), 2):
            if (variant.values[one] == variant.values[other]).all():
                runs = f"Runs {one + 1} and {other + 1} of {variant.name}"
                notes.append(f"{runs} count alike on every list: are they one run, named twice?")
        if len(variant.values) == 2:
            notes.append(f"Two runs of {variant.name} hardly show their spread: three or more do.")
    if any(variant.asked.digest != variants[0].asked.digest for variant in variants):
        notes.append(f"Training counts differ between variants: slices are {variants[0].name}'s.")
    return notes
