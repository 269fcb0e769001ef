"""What the readers of all MovieLens sizes share."""

from collections import Counter
from pathlib import Path

import pyarrow as pa

from llara_core.datasets.log import COLUMNS, RawLog
from llara_core.datasets.titles import clean_titles
from llara_core.errors import DataError

RATING_TYPES = dict(zip(COLUMNS, (pa.int64(), pa.int64(), pa.float32(), pa.int64()), strict=True))


def catalogue(path: Path, interactions: pa.Table, movies: list[tuple[int, str]]) -> RawLog:
    """Join the log with `movies`, pairs of raw id and raw title out of `path`.

    Raises:
        DataError: an id stands there twice.
    """
    titles = dict(movies)
    if len(titles) != len(movies):
        repeated, count = Counter(item for item, _ in movies).most_common(1)[0]
        raise DataError(f"{path}: item ids must be unique, got {repeated} {count} times")
    ids = sorted(titles)
    clean, repairs = clean_titles([titles[item] for item in ids])
    return RawLog(interactions, pa.array(ids, pa.int64()), clean, repairs=repairs)
