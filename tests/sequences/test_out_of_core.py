"""DuckDB's path against the in-memory path on random logs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llara_core.datasets.log import COLUMNS
from llara_core.errors import DataError
from llara_core.params.datasets import Columns, Filters
from llara_core.sequences.building import group_by_user
from llara_core.sequences.encoding import encode_interactions
from llara_core.sequences.filtering import filter_interactions
from llara_core.sequences.out_of_core import group_out_of_core
from tests.factories import KEEP_ALL

NAMES = Columns(user="who", item='what "it" is', timestamp="when", title="name", rating="stars")
LOGS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 9), st.sampled_from([1.0, 3.0, 5.0]), st.integers(-5, 30)),
    min_size=1,
    max_size=60,
)
FILTERS = st.builds(
    Filters,
    min_rating=st.sampled_from([None, 3.0]),
    repeats=st.sampled_from(["keep", "drop"]),
    min_user_interactions=st.integers(1, 3),
    user_share=st.sampled_from([0.5, 1.0]),
    item_share=st.sampled_from([0.5, 1.0]),
    core_users=st.integers(1, 3),
    core_items=st.integers(1, 3),
    unused_items=st.sampled_from(["keep", "drop"]),
    ties=st.just("item_id"),
)


def _partition(folder: Path, table: pa.Table, parts: int) -> None:
    renamed = table.rename_columns([NAMES.user, NAMES.item, str(NAMES.rating), NAMES.timestamp])
    for part in range(parts):
        path = folder / f"year={part}" / "part.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(renamed.take(np.arange(part, len(table), parts)), path)


@given(LOGS, FILTERS, st.booleans(), st.integers(1, 3))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_both_paths_agree(
    tmp_path_factory: pytest.TempPathFactory, log: list, filters: Filters, texts: bool, parts: int
) -> None:
    columns = [list(column) for column in zip(*log, strict=True)]
    catalogue = list(range(1, 10))
    if texts:
        columns[0] = [f"ü{user}" if user % 2 else f"U{user}" for user in columns[0]]
        columns[1] = [str(item) for item in columns[1]]
        catalogue = [str(item) for item in catalogue]
    table = pa.table([columns[0], columns[1], pa.array(columns[2], pa.float32()), columns[3]], names=COLUMNS)
    folder = tmp_path_factory.mktemp("parts")
    _partition(folder, table, parts)
    try:
        kept, expected_report = filter_interactions(encode_interactions(table, pa.array(catalogue)), filters, seed=1)
    except DataError as error:
        with pytest.raises(DataError, match=str(error).split(",")[0].replace("*", ".")):
            group_out_of_core(folder, NAMES, pa.array(catalogue), filters, 1, "200MB")
        return
    expected = group_by_user(kept, ties="item_id", unused_items=filters.unused_items)
    found, report, repairs = group_out_of_core(folder, NAMES, pa.array(catalogue), filters, 1, "200MB")
    assert (report, repairs) == (expected_report, {})
    assert found.raw_users.to_pylist() == expected.raw_users.to_pylist()
    for name in ("offsets", "item_ids", "timestamps", "catalogue"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


def _table(**changes: list) -> pa.Table:
    columns = {"user": [1, 2], "item": [1, 2], "rating": [1.0, 2.0], "timestamp": [10, 20]}
    return pa.table(columns | changes)


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ([1513468800999, 1513468801000], [1513468800, 1513468801]),
        (pa.array([5_000_000, 6_500_000], pa.timestamp("us")), [5, 6]),
        ([10.9, 20.1], [10, 20]),
    ],
)
def test_units_of_time_are_recognised(tmp_path: Path, times: list, seconds: list[int]) -> None:
    _partition(tmp_path, _table(timestamp=times), 2)
    grouped, _, repairs = group_out_of_core(tmp_path, NAMES, pa.array([1, 2]), KEEP_ALL, 0, "200MB")
    assert grouped.timestamps.tolist() == seconds
    assert sum(repairs.values()) == (0 if isinstance(times, list) and times[0] == 10.9 else 2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"user": [1, None]}, "must have a who in every interaction, got 1 without"),
        ({"user": ["ann", ""]}, "must have a who in every interaction, got 1 empty ones"),
        ({"user": [" \t", "ann"]}, "must have a who in every interaction, got 1 empty ones"),
        ({"item": [1, 9]}, "at most 1% of interactions may lack a title, got 1"),
        ({"user": [1, -2]}, "must have ids ≥ 0, got -2"),
        ({"timestamp": [10, 1513468800999]}, "times of one unit, got seconds and milliseconds"),
    ],
)
def test_unusable_logs(tmp_path: Path, changes: dict, expected: str) -> None:
    _partition(tmp_path, _table(**changes), 1)
    with pytest.raises(DataError, match=expected):
        group_out_of_core(tmp_path, NAMES, pa.array([1, 2]), KEEP_ALL, 0, "200MB")


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_rating_is_refused_where_ratings_count(tmp_path: Path, missing: float | None) -> None:
    _partition(tmp_path, _table(rating=[5.0, missing]), 1)
    filters = KEEP_ALL.model_copy(update={"min_rating": 3.0})
    with pytest.raises(DataError, match="needs a rating in every interaction, got 1 without"):
        group_out_of_core(tmp_path, NAMES, pa.array([1, 2]), filters, 0, "200MB")


def test_missing_columns_and_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not readable as partitioned Parquet"):
        group_out_of_core(tmp_path, NAMES, pa.array([1, 2]), KEEP_ALL, 0, "200MB")
    _partition(tmp_path, _table(), 1)
    other = NAMES.model_copy(update={"user": "nobody"})
    with pytest.raises(DataError, match=r"not readable as partitioned Parquet.*nobody"):
        group_out_of_core(tmp_path, other, pa.array([1, 2]), KEEP_ALL, 0, "200MB")


def test_few_interactions_of_untitled_items_are_dropped_and_counted(tmp_path: Path) -> None:
    n = 200
    columns = {"user": list(range(n)), "item": [1] * (n - 1) + [9], "rating": [1.0] * n, "timestamp": list(range(n))}
    _partition(tmp_path, _table(**columns), 3)
    grouped, report, repairs = group_out_of_core(tmp_path, NAMES, pa.array([1, 2]), KEEP_ALL, 0, "200MB")
    assert len(grouped.item_ids) == report["raw"]["interactions"] == n - 1
    assert repairs == {"interactions_without_title_dropped": 1}


def test_a_log_larger_than_the_memory_limit(tmp_path: Path) -> None:
    n = 3_000_000
    generator = np.random.default_rng(0)
    table = pa.table(
        {
            "user": generator.integers(0, 20_000, n),
            "item": generator.integers(1, 3_000, n),
            "rating": pa.array(generator.integers(1, 6, n), pa.float32()),
            "timestamp": generator.integers(0, 1 << 30, n),
        }
    )
    assert table.nbytes > 80 << 20
    _partition(tmp_path, table, 2)
    filters = KEEP_ALL.model_copy(update={"min_rating": 3.0, "core_users": 5, "core_items": 5})
    catalogue = pa.array(range(1, 3_000))
    found, report, _ = group_out_of_core(tmp_path, NAMES, catalogue, filters, 0, "64MB")
    kept, expected_report = filter_interactions(encode_interactions(table, catalogue), filters, seed=0)
    expected = group_by_user(kept, ties="item_id", unused_items="keep")
    assert report == expected_report
    assert np.array_equal(found.item_ids, expected.item_ids)
    assert np.array_equal(found.timestamps, expected.timestamps)
    assert np.array_equal(found.offsets, expected.offsets)
