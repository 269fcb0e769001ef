"""Partitioned Parquet preprocessed by DuckDB within a memory limit, beside the in-memory path on the same data."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import duckdb
import pyarrow.parquet as pq
import typer
from ruamel.yaml import YAML

from benchmarks.generate import movielens_like
from benchmarks.preprocessing import measure

_ROOT = Path(__file__).resolve().parents[1]
_COLUMNS = {"user": "userId", "item": "movieId", "timestamp": "timestamp", "rating": "rating", "title": "title"}


def _write_params(folder: Path, entry: dict[str, Any]) -> None:
    yaml = YAML()
    params = yaml.load((_ROOT / "params.yaml").read_text())
    base = params["datasets"]["ml-25m"]
    params["datasets"]["mine"] = {"columns": _COLUMNS, "filters": base["filters"], "nouns": base["nouns"], **entry}
    params["dataset"]["name"] = "mine"
    yaml.dump(params, folder / "params.yaml")


def _partition(source: Path, raw: Path) -> int:
    """Write ratings.csv by rating and as one file, and movies.csv; return the bytes of the columns in memory."""
    duckdb.execute(
        f"COPY (FROM '{source}/ratings.csv') TO '{raw}/interactions' (FORMAT parquet, PARTITION_BY (rating), "
        "WRITE_PARTITION_COLUMNS)"
    )
    duckdb.execute(f"COPY (FROM '{source}/movies.csv') TO '{raw}/movies.parquet' (FORMAT parquet)")
    duckdb.execute(f"COPY (FROM '{source}/ratings.csv') TO '{raw}/all.parquet' (FORMAT parquet)")
    files = (raw / "interactions").rglob("*.parquet")
    return sum(pq.read_metadata(path).num_rows for path in files) * (8 + 8 + 8 + 8)


def main(
    millions: Annotated[int, typer.Argument(help="Millions of ratings.")] = 25,
    memory_limit: Annotated[str, typer.Argument(help="DuckDB's limit.")] = "400MB",
) -> None:
    """Print seconds and peak memory of both paths; stop if their tables differ."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = folder / "data" / "raw"
        (raw / "interactions").mkdir(parents=True)
        movielens_like(folder / "csv", millions * 1_000_000)
        size = _partition(folder / "csv", raw)
        files = {"interactions": "/x/interactions", "items": "/x/movies.parquet"}
        _write_params(folder, {"source": "partitioned_parquet", "memory_limit": memory_limit, **files})
        seconds, peak = measure(folder)
        tables = [pq.read_table(path) for path in sorted((folder / "data/processed").iterdir())]
        print(f"{millions} million ratings, {size / 2**30:.2f} GiB as columns in memory")
        print(f"DuckDB, limit {memory_limit}: {seconds:6.1f} s, peak {peak:.2f} GiB")
        _write_params(folder, {"source": "parquet", **files, "interactions": "/x/all.parquet"})
        plain_seconds, plain_peak = measure(folder)
        print(f"in memory:            {plain_seconds:6.1f} s, peak {plain_peak:.2f} GiB")
        print(f"ratio out of core / in memory: time {seconds / plain_seconds:.2f}, memory {peak / plain_peak:.2f}")
        if tables != [pq.read_table(path) for path in sorted((folder / "data/processed").iterdir())]:
            raise SystemExit("the tables differ")
        print("identical tables")


if __name__ == "__main__":
    typer.run(main)
