"""Where negatives come from: items proposed in an endless row, all alike or by weight, and a draw from what is left.

Taking the first new and allowed proposals is a draw without replacement: each comes with a probability in proportion to
its weight among the items that were left (successive sampling). Where too few of them are new, what is missing is drawn
from all that is left, with the same probabilities.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from llara_core.sequences.random_words import random_integers, random_shares

Words = Callable[[int, np.ndarray], np.ndarray]
"""Random words of one list, by a stream and counters [N]."""

PLACES, PROPOSED, LEFT, FROM_POOL = range(4)  # streams of a list's words


class Source(Protocol):
    """Items 1 to n_items, each with a probability.

    Attributes:
        n_items: of the catalogue.
        patience: up to how many proposals a list looks at, beyond the first ones, before it draws from what is left.
    """

    n_items: int
    patience: int

    def items(self, words: np.ndarray) -> np.ndarray:
        """Map random words, of any shape, to the items that they propose."""

    def draw_left(self, words: Words, left: np.ndarray, count: int) -> np.ndarray:
        """[count] of the item ids `left` [N], one after the other."""


class Alike:
    """Every item with the same probability."""

    def __init__(self, n_items: int, n_proposals: int) -> None:
        """Propose ids 1 to n_items, up to n_proposals for each list."""
        self.n_items, self.patience = n_items, 0
        self._unused = max(n_items, n_proposals)  # the first counter whose words propose nothing

    def items(self, words: np.ndarray) -> np.ndarray:
        """Map words to ids."""
        return random_integers(words, self.n_items) + 1

    def draw_left(self, words: Words, left: np.ndarray, count: int) -> np.ndarray:
        """Shuffle what is left."""
        order = np.argsort(words(PROPOSED, self._unused + np.arange(len(left))), kind="stable")
        return left[order[:count]]


class ByWeight:
    """Every item in proportion to its weight."""

    def __init__(self, weights: np.ndarray) -> None:
        """Propose ids 1 to n by `weights` [n] > 0."""
        # Users have had much of what is proposed often. Beyond n proposals it is cheaper to look at all items once.
        self.n_items = self.patience = len(weights)
        self._weights = weights
        self._cumulative = np.cumsum(weights)

    def items(self, words: np.ndarray) -> np.ndarray:
        """Map words to ids by the inverse of the cumulative distribution."""
        # A share is at most 1 - 2**-53, so that its product with the sum never rounds up to the sum itself.
        places = random_shares(words) * self._cumulative[-1]
        return np.searchsorted(self._cumulative, places, side="right") + 1

    def draw_left(self, words: Words, left: np.ndarray, count: int) -> np.ndarray:
        """Take the shortest of waiting times whose rates are the weights.

        They come in the order of successive draws (Efraimidis & Spirakis 2006, "Weighted random sampling with a
        reservoir").
        """
        waiting = -np.log1p(-random_shares(words(LEFT, left))) / self._weights[left - 1]
        return left[np.argsort(waiting, kind="stable")[:count]]
