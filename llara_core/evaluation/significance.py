"""Whether a mean difference over users can be chance: bootstrap, exact sign test, Holm's correction, several seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

_TAIL = 0.025
_CELLS_AT_ONCE = 1 << 22  # user numbers drawn at a time: 16 MB


def bootstrap_interval(
    totals: np.ndarray, sizes: np.ndarray, rng: np.random.Generator, n_resamples: int
) -> tuple[float, float]:
    """95 % interval of Σ totals / Σ sizes over users who are drawn with replacement, each with all his lists.

    The ends are the expanded percentiles of Hesterberg (2015, arXiv 1411.5279): plain ones are too close together by
    what tells Student's t and the n − 1 of a variance from the normal distribution and n.

    Args:
        totals: [U] sum of a user's values.
        sizes: [U] number of his lists.
        rng: draws users by number alone, so that other values meet the same resamples.
        n_resamples: how often U users are drawn.
    """
    n_users = len(sizes)
    means, rows = [], max(1, _CELLS_AT_ONCE // n_users)
    for start in range(0, n_resamples, rows):
        shape = (min(rows, n_resamples - start), n_users)
        drawn = rng.integers(n_users, size=shape, dtype=np.int32)
        means.append(totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    reach = np.sqrt(n_users / (n_users - 1)) * stats.t.ppf(1 - _TAIL, n_users - 1)
    tail = stats.norm.cdf(-reach)
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def sign_test(n_wins: int, n_losses: int) -> float:
    """Two-sided p of the exact sign test; 1 where there is neither a win nor a loss.

    Of hits and misses, this is McNemar's exact test: wins and losses are its discordant pairs.
    """
    if not (n_discordant := n_wins + n_losses):
        return 1.0
    # Of fair coins both tails are equal: twice one is the two-sided p, and five times as fast.
    tail = stats.binomtest(min(n_wins, n_losses), n_discordant, alternative="less").pvalue
    return min(1.0, 2 * float(tail))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number (Holm 1979): the chance of any false alarm stays below the level."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected


@dataclass(frozen=True)
class Spread:
    """Variance of an estimate and the degrees of freedom with which it is known."""

    variance: float
    freedom: float

    def interval(self, estimate: float) -> tuple[float, float]:
        """95 % interval by Student's t."""
        half = float(stats.t.ppf(1 - _TAIL, self.freedom) * np.sqrt(self.variance))
        return estimate - half, estimate + half

    def p(self, estimate: float) -> float:
        """Two-sided p that the truth is 0."""
        return float(2 * stats.t.sf(abs(estimate) / np.sqrt(self.variance), self.freedom))


def spread_of_difference(first: np.ndarray, second: np.ndarray, sizes: np.ndarray) -> Spread:
    """Spread of the mean of first − second over users and, where there are several, over seeds.

    With D the differences averaged over seeds, S the number of seeds and U of users,

        V = V_users + max(0, V_seeds − V_both)        df = V² / (V_users² / (U − 1) + Σ V_seeds² / (S − 1))

    and df no less than the least of U − 1 and the S − 1, as there would be if one of the parts were all of V.
    V_users is the variance of D's mean between users, V_seeds that of the seeds' means, divided by S. What a seed does
    to single users stands in both of them; V_both, the variance of what neither the user nor the seed explains, takes
    it out once (two-way clusters: Cameron, Gelbach & Miller 2011). df are Satterthwaite's, whose sum falls below that
    least one only where V_both is taken from V and not from what V is divided by, down to 0. Equal numbers of seeds
    are paired in order, which is right for unrelated ones too; other numbers are independent, and their V_seeds and
    V_both add up. One seed has no spread: then V is that of this run.

    Args:
        first: [S, U] by seed, the sum of each user's values.
        second: [S', U] likewise.
        sizes: [U] number of each user's lists; U ≥ 2.
    """
    n_users = len(sizes)
    averaged = (first.mean(axis=0) - second.mean(axis=0))[None]
    of_users = float((_residuals(averaged, sizes) ** 2).sum()) * n_users / (n_users - 1) / sizes.sum() ** 2
    parts = [first - second] if len(first) == len(second) else [first, second]
    of_seeds = [(_seed_variances(part, sizes), len(part)) for part in parts if len(part) > 1]
    excess = sum(own - both for (own, both), _ in of_seeds)
    variance = of_users + max(0.0, excess)
    inverse = of_users**2 / (n_users - 1) + sum(own**2 / (n_seeds - 1) for (own, _), n_seeds in of_seeds)
    least = float(min(n_users - 1, *(n_seeds - 1 for _, n_seeds in of_seeds))) if of_seeds else float(n_users - 1)
    return Spread(variance, max(least, variance**2 / inverse) if inverse else least)


def _residuals(totals: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[S, U] totals without what each seed's mean expects of them."""
    return totals - totals.sum(axis=1, keepdims=True) / sizes.sum() * sizes


def _seed_variances(totals: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """V_seeds and V_both of totals [S, U], S ≥ 2."""
    n_seeds, n_users = totals.shape
    own = float((totals.sum(axis=1) / sizes.sum()).var(ddof=1)) / n_seeds
    residuals = _residuals(totals, sizes)
    unexplained = float(((residuals - residuals.mean(axis=0)) ** 2).sum()) / ((n_seeds - 1) * (n_users - 1))
    return own, unexplained * n_users / (n_seeds * sizes.sum() ** 2)
