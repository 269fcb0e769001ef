"""The reader of the frames that the LLaRA authors released: windows of at most ten items and the item that follows.

train_data.df has a row per position, Val_data.df and Test_data.df one per user; `seq` is padded with the number of
items. A row belongs to the user of the row before if its history is that row's history and target.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from llara_core.datasets.log import COLUMNS, RawLog
from llara_core.datasets.movielens_100k import read_movies
from llara_core.datasets.pickled_frame import read_frame
from llara_core.datasets.text_lines import existing, lines
from llara_core.datasets.titles import clean_titles
from llara_core.errors import DataError

_FILES = {"train": "train_data.df", "validation": "Val_data.df", "test": "Test_data.df"}
_FRAME = ("seq", "next")


def read_llara_release(folder: Path) -> RawLog:
    """Read the three frames in `folder`, and id2name.txt (`id::name`) or u.item, whose ids are greater by one.

    The frames have no times: an interaction's `timestamp` is its place in the user's sequence.

    Raises:
        DataError: a file is malformed, or a pickle isn't a plain frame.
    """
    titles, repairs = clean_titles(_read_titles(folder))
    sequences: list[list[int]] = []
    user_splits: dict[int, str] = {}
    for split, name in _FILES.items():
        for items in _sequences(folder / name, n_items=len(titles)):
            user_splits[len(sequences)] = split
            sequences.append(items)
    if not sequences:
        raise DataError(f"{folder}: {', '.join(_FILES.values())} must hold windows, got none")
    lengths = np.array([len(items) for items in sequences])
    n = int(lengths.sum())
    columns = [
        np.repeat(np.arange(len(sequences)), lengths),
        np.concatenate(sequences).astype(np.int64),
        pa.nulls(n, pa.float32()),
        np.arange(n) - np.repeat(np.cumsum(lengths) - lengths, lengths),
    ]
    catalogue = pa.array(range(len(titles)), pa.int64())
    return RawLog(pa.table(columns, names=COLUMNS), catalogue, titles, user_splits=user_splits, repairs=repairs)


def _read_titles(folder: Path) -> list[str]:
    if (movies := folder / "u.item").is_file():
        return [title for _, title in sorted(read_movies(movies))]
    return _read_names(folder / "id2name.txt")


def _read_names(path: Path) -> list[str]:
    names: list[str] = []
    for number, line in lines(existing(path), "utf-8"):
        item, separator, name = line.partition("::")
        if not separator or item != str(len(names)):
            raise DataError(f"{path}: line {number}: must be {len(names)}::name; got {line[:80]!r}")
        names.append(name)
    return names


def _sequences(path: Path, n_items: int) -> list[list[int]]:
    """Join the windows of each user into the sequence that they were cut from."""
    frame = read_frame(path)
    if missing := [name for name in _FRAME if name not in frame]:
        raise DataError(f"{path}: must have the columns {', '.join(missing)}, found {', '.join(frame)}")
    joined: list[list[int]] = []
    for row, (window, following) in enumerate(zip(frame["seq"], frame["next"], strict=True)):
        if not (isinstance(window, list) and all(type(item) is int for item in [*window, following])):
            raise DataError(f"{path}: row {row}: seq must be a list of whole numbers, and next a whole number")
        history = [item for item in window if item != n_items]
        if not all(0 <= item < n_items for item in [*history, following]):
            raise DataError(
                f"{path}: row {row}: items must lie in 0..{n_items - 1}, got {str([*history, following])[:80]}"
            )
        if joined and history and history == joined[-1][-len(window) :]:
            joined[-1].append(following)
        else:
            joined.append([*history, following])
    return joined
