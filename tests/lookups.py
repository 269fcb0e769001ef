"""Guessing targets from lists alone, without histories: what must not work where targets are like negatives."""

from collections import Counter

import numpy as np
from scipy import stats

from llara_core.tables.candidates import CandidateSets


def history_free_guesses(learn: CandidateSets, judge: CandidateSets) -> dict[str, list[int]]:
    """Guesses by what was learnt on other users.

    The last lookup is the one that wins where the draw is seeded by the target: the same target would always bring the
    same companions.
    """
    best_place = Counter(learn.target_indices.tolist()).most_common(1)[0][0]
    frequency = Counter(learn.targets.tolist())
    companions: dict[int, Counter[int]] = {}
    for row, goal in zip(learn.candidates.tolist(), learn.targets.tolist(), strict=True):
        companions.setdefault(goal, Counter()).update(item for item in row if item != goal)

    def likeness(row: list[int], goal: int) -> float:
        known = companions.get(goal, Counter())
        return sum(known[item] for item in row) / (1 + known.total())

    rows = judge.candidates.tolist()
    return {
        "place": [row[best_place] for row in rows],
        "smallest id": [min(row) for row in rows],
        "frequency as a target": [max(row, key=lambda item: frequency[item]) for row in rows],
        "companions": [max(row, key=lambda goal: likeness(row, goal)) for row in rows],
    }


def best_by(scores: np.ndarray, sets: CandidateSets) -> list[int]:
    """The candidate of each list with the highest of scores [n + 1]; the first of equals, which stand at random."""
    return [max(row, key=lambda item: scores[item]) for row in sets.candidates.tolist()]


def hits_by_user(guesses: list[int], sets: CandidateSets, n_draws: int) -> np.ndarray:
    """[U] share of each user's lists, which stand together, that are guessed."""
    return (np.array(guesses) == sets.targets).reshape(-1, n_draws).mean(axis=1)


def require_chance(guesses: dict[str, list[int]], sets: CandidateSets, n_draws: int) -> None:
    """Users are independent, their draws are not."""
    for name, guess in guesses.items():
        hits = hits_by_user(guess, sets, n_draws)
        chance = stats.ttest_1samp(hits, 1 / sets.candidates.shape[1])
        assert chance.pvalue > 0.001, f"{name}: {hits.mean():.3f}"
