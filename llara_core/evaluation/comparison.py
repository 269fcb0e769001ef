"""Two variants on the same lists: how far apart they are, and whether that can be chance."""

from dataclasses import dataclass, fields, replace

import numpy as np

from llara_core.errors import ArtifactError
from llara_core.evaluation.significance import bootstrap_interval, sign_test, spread_of_difference
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import Asked

RESAMPLES = 10_000
_FEWEST_TO_RESAMPLE = 20
EQUAL = 1e-9  # two means over seeds that differ by less differ by their order of addition alone


@dataclass(frozen=True)
class Counts:
    """How often the first is better, equal and worse."""

    wins: int
    ties: int
    losses: int

    @classmethod
    def of(cls, differences: np.ndarray) -> "Counts":
        """Count the signs of differences."""
        wins, losses = int((differences > EQUAL).sum()), int((differences < -EQUAL).sum())
        return cls(wins, len(differences) - wins - losses, losses)


@dataclass(frozen=True)
class Difference:
    """The mean of first − second, and what may be said of it.

    Attributes:
        low, high: 95 % interval; None of one user, or where all users' differences are equal.
        p: of the exact test over users and, with several seeds, not below `p_pooled`.
        test: "McNemar" or "sign".
        p_pooled: by Student's t over users and seeds; None where each variant is one run.
        users, lists: wins, ties and losses.
    """

    mean: float
    low: float | None
    high: float | None
    p: float
    test: str
    p_pooled: float | None
    users: Counts
    lists: Counts
    n_users: int
    n_lists: int


def compare_pair(
    first: np.ndarray,
    second: np.ndarray,
    users: np.ndarray,
    rng: np.random.Generator,
    n_resamples: int = RESAMPLES,
) -> Difference:
    """Compare two variants, paired by list, with users as clusters.

    The interval is a bootstrap over users; with several seeds on a side, or fewer than 20 users, of whom resamples show
    too few mixtures, it is Student's t of `spread_of_difference`, as far as differences can go: from −1 to 1.

    McNemar's test takes pairs as independent, and a user's lists aren't: ten draws of one user would count his taste
    ten times. So a user counts once, by the sign of his mean difference. If the two variants are alike, each user who
    tells them apart is as likely to favour one as the other, however his lists hang together, and the number of those
    who favour the first is exactly binomial. With one list a user, this is McNemar's exact test itself.

    Args:
        first: [R] values of the lists in 0..1, or [S, R] by seed.
        second: [R] or [S', R] of another variant on the same lists.
        users: [R] the user of each list.
        rng: for the bootstrap.
        n_resamples: of the bootstrap.
    """
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    by_list = first.mean(axis=0) - second.mean(axis=0)
    _, clusters, sizes = np.unique(users, return_inverse=True, return_counts=True)
    totals = np.bincount(clusters, weights=by_list)
    over_users = Counts.of(totals / sizes)
    p, low, high, p_pooled = sign_test(over_users.wins, over_users.losses), None, None, None
    mean, varies = float(by_list.mean()), len(sizes) > 1
    if varies:
        spread = spread_of_difference(_by_user(first, clusters), _by_user(second, clusters), sizes)
        varies = spread.variance > EQUAL**2
    if varies:
        has_seeds = max(len(first), len(second)) > 1
        by_t = has_seeds or len(sizes) < _FEWEST_TO_RESAMPLE
        ends = spread.interval(mean) if by_t else bootstrap_interval(totals, sizes, rng, n_resamples)
        low, high = max(-1.0, ends[0]), min(1.0, ends[1])
        p_pooled = spread.p(mean) if has_seeds else None
    single = bool((sizes == 1).all()) and bool(np.isin(by_list, (-1, 0, 1)).all())
    test = "McNemar" if single else "sign"
    return Difference(
        mean, low, high, max(p, p_pooled or 0.0), test, p_pooled, over_users, Counts.of(by_list), len(sizes), len(users)
    )


def require_same_lists(first: Asked, second: Asked, names: tuple[str, str]) -> None:
    """Refuse two variants that were asked about different lists.

    What they were shown or trained on may differ: that can be what is compared. So may the numbers of examples, which
    are names: another number of validation users shifts those of the test's.

    Raises:
        ArtifactError: naming the first difference.
    """
    ours, theirs = _renumbered(first.sets), _renumbered(second.sets)
    if ours.digest == theirs.digest:
        return
    problem = f"{names[0]} and {names[1]} must have been asked about the same lists, got"
    shapes = (first.sets.candidates.shape, second.sets.candidates.shape)
    if shapes[0] != shapes[1]:
        of, place = ("lists", 0) if shapes[0][0] != shapes[1][0] else ("candidates a list", 1)
        raise ArtifactError(f"{problem} {shapes[0][place]} and {shapes[1][place]} {of}")
    why = "" if first.chosen_by == second.chosen_by else ": hard negatives are a recommender's own (docs/evaluation.md)"
    row, column, values = _first_difference(ours, theirs)
    example, user, draw = (getattr(first.sets, name)[row] for name in ("example_ids", "user_ids", "draws"))
    raise ArtifactError(
        f"{problem} {column} {values[0]} and {values[1]} in row {row} ({names[0]}'s example {example}, user {user}, "
        f"draw {draw}){why}"
    )


def _renumbered(sets: CandidateSets) -> CandidateSets:
    """Number examples from 0, in their order."""
    return replace(sets, example_ids=np.unique(sets.example_ids, return_inverse=True)[1])


def _by_user(values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """[S, U] sums of values [S, R]."""
    return np.stack([np.bincount(clusters, weights=row) for row in values])


def _first_difference(first: CandidateSets, second: CandidateSets) -> tuple[int, str, tuple[object, object]]:
    """Row, column and values of the first place where sets of one shape differ."""
    found = []
    for order, field in enumerate(fields(first)):
        ours, theirs = (getattr(sets, field.name) for sets in (first, second))
        differs = ours != theirs
        if differs.any():
            place = tuple(int(index) for index in np.argwhere(differs)[0])
            name = field.name.removesuffix("s") if len(place) == 1 else f"{field.name}[{place[1]}]"
            found.append((place[0], order, name, (ours[place], theirs[place])))
    row, _, name, values = min(found, key=lambda entry: entry[:2])
    return row, name, values
