"""The order that the LLaRA authors' release gives interactions at the same time.

It is what NumPy's unstable quicksort made of them before version 1.25, when `argsort` went over to vector instructions,
whose order depends on the processor. Half of MovieLens-100K's ratings share their second with a neighbour, so the order
decides what is next. The sort is introsort (Musser, Software: Practice and Experience 27(8), 1997): quicksort by the
median of three, insertion sort for short runs, heapsort for what doesn't shrink.
"""

from collections.abc import Sequence

import numpy as np

_SHORT = 16  # the longest run that insertion sorts


def release_order(offsets: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """[N] indices that put every user's interactions in the release's order.

    Args:
        offsets: [U + 1]; user u's rows, in file order, are offsets[u] to offsets[u + 1].
        timestamps: [N].
    """
    order = np.empty(len(timestamps), dtype=np.int64)
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        order[start:end] = start + np.asarray(introsort(timestamps[start:end].tolist()), dtype=np.int64)
    return order


def introsort(keys: Sequence[int]) -> list[int]:
    """Indices that sort `keys` upwards; where equal keys end follows from the algorithm, step by step."""
    order = list(range(len(keys)))
    pending = [(0, len(keys) - 1, 2 * (len(keys).bit_length() - 1))]
    while pending:
        first, last, depth = pending.pop()
        if depth < 0:
            _heapsort(keys, order, first, last)
            continue
        while last - first >= _SHORT:
            middle, depth = _partition(keys, order, first, last), depth - 1
            left, right = (first, middle - 1), (middle + 1, last)
            # The larger part waits, so that few do.
            (first, last), larger = (left, right) if middle - first < last - middle else (right, left)
            pending.append((*larger, depth))
        _insertion_sort(keys, order, first, last)
    return order


def _partition(keys: Sequence[int], order: list[int], first: int, last: int) -> int:
    """Move what is smaller than the median of three to its left and what is larger to its right; return its place."""

    def sort_pair(left: int, right: int) -> None:
        if keys[order[right]] < keys[order[left]]:
            order[left], order[right] = order[right], order[left]

    middle = first + (last - first) // 2
    sort_pair(first, middle)
    sort_pair(middle, last)
    sort_pair(first, middle)
    pivot = keys[order[middle]]
    order[middle], order[last - 1] = order[last - 1], order[middle]
    left, right = first + 1, last - 2
    while True:
        while keys[order[left]] < pivot:
            left += 1
        while pivot < keys[order[right]]:
            right -= 1
        if left >= right:
            break
        order[left], order[right] = order[right], order[left]
        left, right = left + 1, right - 1
    order[left], order[last - 1] = order[last - 1], order[left]
    return left


def _insertion_sort(keys: Sequence[int], order: list[int], first: int, last: int) -> None:
    for place in range(first + 1, last + 1):
        moving = order[place]
        while place > first and keys[moving] < keys[order[place - 1]]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = moving


def _heapsort(keys: Sequence[int], order: list[int], first: int, last: int) -> None:
    heap = [0, *order[first : last + 1]]  # counted from 1, so that the children of i are 2 i and 2 i + 1
    size = len(heap) - 1

    def sift(place: int, moving: int) -> None:
        while (child := 2 * place) <= size:
            if child < size and keys[heap[child]] < keys[heap[child + 1]]:
                child += 1
            if not keys[moving] < keys[heap[child]]:
                break
            heap[place] = heap[child]
            place = child
        heap[place] = moving

    for place in range(size // 2, 0, -1):
        sift(place, heap[place])
    while size > 1:
        moving, heap[size] = heap[size], heap[1]
        size -= 1
        sift(1, moving)
    order[first : last + 1] = heap[1:]
