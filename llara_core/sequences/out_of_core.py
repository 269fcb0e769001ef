"""Encoding, filtering and sorting a log that is larger than memory, by DuckDB, with the result of the in-memory path.

DuckDB reads partitioned Parquet, joins, groups and sorts within a memory limit and spills the rest to disk, in this
process and without a cluster. What comes back is what the rest of the pipeline holds anyway: twelve bytes per kept
interaction.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa

from llara_core.errors import DataError
from llara_core.params.datasets import Columns, Filters
from llara_core.runtime.logs import LOGGER
from llara_core.sequences.building import Grouped, from_sorted
from llara_core.sequences.filtering import ITEM_STREAM, USER_STREAM, sampled_codes

_LARGEST_SECONDS = 10**11  # larger numbers are milliseconds
_MOST_UNTITLED = 0.01
_BATCH = 1 << 20


def group_out_of_core(
    folder: Path, columns: Columns, catalogue: pa.Array, filters: Filters, seed: int, memory_limit: str
) -> tuple[Grouped, dict[str, dict[str, int]], dict[str, int]]:
    """Do the work of `encode_interactions`, `filter_interactions` and `group_by_user` on the Parquet files in `folder`.

    Args:
        folder: searched for *.parquet at any depth.
        columns: what the files' columns are called.
        catalogue: unique raw ids of the items that have a title.
        filters: as in memory; `ties` must be item_id, for partitions have no order.
        seed: of the samples.
        memory_limit: of DuckDB, such as 600MB.

    Returns:
        the sorted log, the numbers after each filter, and what was counted and mended.

    Raises:
        DataError: a column is missing or holds what it may not, more than 1 % of interactions are of items outside the
            catalogue, or a filter leaves nothing.
    """
    with TemporaryDirectory(prefix="llara-duckdb-") as scratch:
        connection = duckdb.connect(str(Path(scratch) / "log.duckdb"))
        try:
            settings = {"memory_limit": memory_limit, "temp_directory": scratch, "preserve_insertion_order": "false"}
            for name, value in settings.items():
                connection.execute(f"SET {name} = '{value}'")
            log = _Log(connection)
            log.encode(folder, columns, catalogue)
            report = _filter(log, filters, seed)
            return log.grouped(len(catalogue), filters.unused_items), report, log.repairs
        except duckdb.OutOfMemoryException as error:
            raise DataError(f"datasets.*.memory_limit must be larger for this data, got {memory_limit}") from error
        except duckdb.Error as error:
            raise DataError(f"{folder}: not readable as partitioned Parquet: {str(error).splitlines()[0]}") from error
        finally:
            connection.close()


class _Log:
    """The table log(u, i, r, t) of user and item codes, ratings and seconds, and the tables of raw ids."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.repairs: dict[str, int] = {}

    def rows(self, query: str) -> list[tuple]:
        return self._connection.execute(query).fetchall()

    def numbers(self, query: str) -> np.ndarray:
        return np.asarray(next(iter(self._connection.execute(query).fetchnumpy().values())))

    def keep(self, condition: str) -> None:
        """Keep the rows of `log` for which `condition` holds."""
        self.replace(f"SELECT * FROM log WHERE {condition}")

    def keep_codes(self, column: str, codes: np.ndarray) -> None:
        self._connection.register("chosen", pa.table({"code": codes}))
        self.keep(f"{column} IN (SELECT code FROM chosen)")

    def replace(self, query: str) -> None:
        self._connection.execute(f"CREATE TABLE next_log AS {query}")
        self._connection.execute("DROP TABLE log")
        self._connection.execute("ALTER TABLE next_log RENAME TO log")

    def count(self) -> int:
        return int(self.rows("SELECT count(*) FROM log")[0][0])

    def describe(self) -> dict[str, int]:
        names = ("interactions", "users", "items")
        return dict(
            zip(names, self.rows("SELECT count(*), count(DISTINCT u), count(DISTINCT i) FROM log")[0], strict=True)
        )

    def encode(self, folder: Path, columns: Columns, catalogue: pa.Array) -> None:
        execute = self._connection.execute
        rating = _quoted(columns.rating) if columns.rating is not None else "NULL"
        pattern = str(folder / "**" / "*.parquet").replace("'", "''")
        execute(
            f"CREATE VIEW raw AS SELECT {_quoted(columns.user)} AS u, {_quoted(columns.item)} AS i, "
            f"{rating}::FLOAT AS r, {_quoted(columns.timestamp)} AS t "
            f"FROM read_parquet('{pattern}', hive_partitioning = false)"
        )
        self._connection.register(
            "catalogue", pa.table({"i": catalogue, "code": np.arange(len(catalogue), dtype=np.int32)})
        )
        self._check(columns)
        execute(
            "CREATE TABLE users AS SELECT u, (row_number() OVER (ORDER BY u) - 1)::INT AS code "
            "FROM (SELECT DISTINCT u FROM raw)"
        )
        execute(
            f"CREATE TABLE log AS SELECT users.code AS u, catalogue.code AS i, r, {self._seconds()} AS t "
            "FROM raw JOIN users ON raw.u = users.u JOIN catalogue ON raw.i = catalogue.i"
        )

    def _check(self, columns: Columns) -> None:
        n, *missing = self.rows(
            "SELECT count(*), count(*) - count(u), count(*) - count(i), count(*) - count(t) FROM raw"
        )[0]
        if not n:
            raise DataError("the raw data must hold interactions, got none")
        for name, count in zip((columns.user, columns.item, columns.timestamp), missing, strict=True):
            if count:
                raise DataError(f"the raw data must have a {name} in every interaction, got {count} without")
        for column, name in (("u", columns.user), ("i", columns.item)):
            if self._type(column) == "VARCHAR":
                blank = f"SELECT count(*) FROM raw WHERE regexp_full_match({column}, '\\s*')"
                if count := self.rows(blank)[0][0]:
                    raise DataError(f"the raw data must have a {name} in every interaction, got {count} empty ones")
        unlisted = self.rows("SELECT count(*) FROM raw ANTI JOIN catalogue ON raw.i = catalogue.i")[0][0]
        if unlisted > _MOST_UNTITLED * n:
            raise DataError(f"at most {_MOST_UNTITLED:.0%} of interactions may lack a title, got {unlisted}")
        self._count_repair("interactions_without_title_dropped", unlisted)
        for name, kind in (("u", self._type("u")), ("i", self._type("i"))):
            if "INT" in kind and (smallest := self.rows(f"SELECT min({name}) FROM raw")[0][0]) < 0:
                raise DataError(f"the raw data must have ids ≥ 0, got {smallest}")

    def _count_repair(self, name: str, count: int) -> None:
        if count:
            self.repairs[name] = count

    def _type(self, name: str) -> str:
        return str(self.rows(f"SELECT typeof({name}) FROM raw LIMIT 1")[0][0])

    def _seconds(self) -> str:
        """Return the SQL that turns the raw time, told by its type and size, into whole seconds."""
        if self._type("t").startswith(("TIMESTAMP", "DATE")):
            self._count_repair("dates_converted_to_seconds", self.rows("SELECT count(*) FROM raw")[0][0])
            return "floor(epoch(t))::BIGINT"
        smallest, largest = self.rows("SELECT min(t), max(t) FROM raw")[0]
        if smallest > _LARGEST_SECONDS:
            self._count_repair("milliseconds_converted_to_seconds", self.rows("SELECT count(*) FROM raw")[0][0])
            return "(t // 1000)::BIGINT"
        if largest > _LARGEST_SECONDS:
            raise DataError("the raw data must have times of one unit, got seconds and milliseconds")
        return "floor(t)::BIGINT"

    def grouped(self, n_items: int, unused_items: str) -> Grouped:
        """Stream the sorted log into arrays."""
        n = self.count()
        users, items = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
        times = np.empty(n, dtype=np.int64)
        start = 0
        for batch in self._connection.sql("SELECT u, i, t FROM log ORDER BY u, t, i").to_arrow_reader(_BATCH):
            end = start + len(batch)
            users[start:end], items[start:end], times[start:end] = (column.to_numpy() for column in batch.columns)
            start = end
        raw_users = self._connection.sql("SELECT u FROM users ORDER BY code").to_arrow_table()["u"].combine_chunks()
        return from_sorted(users, items, times, raw_users, n_items, unused_items=unused_items)


def _filter(log: _Log, filters: Filters, seed: int) -> dict[str, dict[str, int]]:
    def sample(column: str, share: float, stream: int) -> Callable[[], None]:
        def keep() -> None:
            used = log.numbers(f"SELECT DISTINCT {column} FROM log ORDER BY 1")
            chosen = sampled_codes(used, share, seed, stream)
            log.keep_codes(column, chosen)

        return keep

    # To DuckDB NaN is a number, and larger than all others.
    without = "SELECT count(*) FROM log WHERE r IS NULL OR isnan(r)"
    if filters.min_rating is not None and (missing := log.rows(without)[0][0]):
        raise DataError(f"datasets.*.filters.min_rating needs a rating in every interaction, got {missing} without")
    steps: dict[str, tuple[bool, Callable[[], None]]] = {
        "min_rating": (filters.min_rating is not None, lambda: log.keep(f"r >= {filters.min_rating}")),
        "repeats": (
            filters.repeats == "drop",
            lambda: log.replace("SELECT u, i, any_value(r) AS r, min(t) AS t FROM log GROUP BY u, i"),
        ),
        "min_user_interactions": (
            filters.min_user_interactions > 1,
            lambda: log.keep(_active("u", filters.min_user_interactions)),
        ),
        "user_share": (filters.user_share < 1, sample("u", filters.user_share, USER_STREAM)),
        "item_share": (filters.item_share < 1, sample("i", filters.item_share, ITEM_STREAM)),
        "core": (max(filters.core_users, filters.core_items) > 1, lambda: _k_core(log, filters)),
    }
    report = {"raw": log.describe()}
    for name, (is_on, apply) in steps.items():
        if not is_on:
            continue
        before = log.count()
        apply()
        report[name] = log.describe()
        LOGGER.info("%s: %s", name, report[name])
        if not report[name]["interactions"]:
            raise DataError(f"datasets.*.filters.{name} must leave interactions, got none of {before}")
    return report


def _k_core(log: _Log, filters: Filters) -> None:
    before = -1
    while (n := log.count()) != before:
        before = n
        log.keep(f"{_active('u', filters.core_users)} AND {_active('i', filters.core_items)}")


def _active(column: str, least: int) -> str:
    return f"{column} IN (SELECT {column} FROM log GROUP BY {column} HAVING count(*) >= {least})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
