"""What every reader returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

Repairs = Mapping[str, int | str]  # how often what was mended, or an example of it
COLUMNS = ("user", "item", "rating", "timestamp")


@dataclass(frozen=True)
class RawLog:
    """A dataset as its raw files tell it.

    Attributes:
        interactions: one row per interaction, in file order: `user` and `item` as int64 or string, `rating` as float32
            (null where there is none), `timestamp` as int64 seconds since 1970.
        item_ids: [n] unique raw ids, of the type of `item`.
        titles: [n] clean, unique, non-empty.
        user_splits: raw user → split, where the dataset comes with a split of its own.
        repairs: what was counted and mended while reading, for the report; an example of what can be doubted.
    """

    interactions: pa.Table
    item_ids: pa.Array
    titles: list[str]
    user_splits: dict[Any, str] | None = None
    repairs: Repairs = field(default_factory=dict)
