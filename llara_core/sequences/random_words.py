"""Random numbers as a pure function of their coordinates: the same whatever the order, batch or process.

A counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) over the splitmix64
finaliser (Steele et al., OOPSLA 2014), vectorised. Not for cryptography.
"""

import numpy as np
from numpy.typing import ArrayLike

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def random_words(seed: int, *coordinates: ArrayLike) -> np.ndarray:
    """Return uniform uint64 words, one per element of the broadcast integer `coordinates`."""
    with np.errstate(over="ignore"):
        words = _mix(np.asarray(seed, dtype=np.uint64) + _GOLDEN)
        for coordinate in np.broadcast_arrays(*(np.asarray(c).astype(np.uint64) for c in coordinates)):
            words = _mix((words ^ _mix(coordinate + _GOLDEN)) + _GOLDEN)
    return words


def random_integers(words: np.ndarray, bound: int) -> np.ndarray:
    """Map uint64 words to int64 in [0, bound); the bias is below bound / 2**32."""
    return ((words >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)


def random_shares(words: np.ndarray) -> np.ndarray:
    """Map uint64 words to float64 in [0, 1)."""
    return (words >> np.uint64(11)) / 2**53


def random_permutation(seed: int, stream: int, n: int) -> np.ndarray:
    """[n] a permutation of 0..n-1, by sorting n words."""
    return np.argsort(random_words(seed, stream, np.arange(n)), kind="stable")


def _mix(words: np.ndarray) -> np.ndarray:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
