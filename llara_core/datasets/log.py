"""What every reader returns."""

from dataclasses import dataclass

import pyarrow as pa

INTERACTIONS_SCHEMA = pa.schema(
    [("user", pa.int64()), ("item", pa.int64()), ("rating", pa.float32()), ("timestamp", pa.int64())]
)


@dataclass(frozen=True)
class RawLog:
    """A dataset as its raw files tell it.

    Attributes:
        interactions: one row per interaction, in file order, with the columns of INTERACTIONS_SCHEMA;
            timestamps are seconds since 1970.
        item_ids: [n] int64 raw ids, ascending.
        titles: [n] clean, unique, non-empty.

    """

    interactions: pa.Table
    item_ids: pa.Int64Array
    titles: list[str]
