from pathlib import Path

import pytest

from llara_core.datasets.movielens_100k import read_movielens_100k
from llara_core.errors import DataError

RATINGS = "1\t20\t3\t100\n2\t10\t5\t50\n"
MOVIES = "\n".join(f"{i}|{title}" + "|" * 22 for i, title in ((20, "Café (1990)"), (10, "Heat (1995)"))) + "\n"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "u.data").write_text(RATINGS)
    (tmp_path / "u.item").write_text(MOVIES, encoding="latin-1")
    return tmp_path


def test_reads_ratings_in_file_order_and_items_by_id(raw: Path) -> None:
    log = read_movielens_100k(raw)
    assert log.interactions.to_pydict() == {
        "user": [1, 2],
        "item": [20, 10],
        "rating": [3.0, 5.0],
        "timestamp": [100, 50],
    }
    assert log.item_ids.to_pylist() == [10, 20]
    assert log.titles == ["Heat", "Café"]


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("u.data", RATINGS + "3\t10\t4\n", r"u.data: line 3: must be user, item.*got '3\\t10\\t4'"),
        ("u.data", RATINGS + "3\tten\t4\t5\n", r"u.data: line 3: .*got '3\\tten\\t4\\t5'"),
        ("u.data", RATINGS.replace("\t", ","), r"u.data: line 1: "),
        ("u.data", "user\titem\trating\ttime\n" + RATINGS, r"u.data: line 1: must be user, item"),
        ("u.data", "", r"u.data: must not be empty"),
        ("u.item", MOVIES + "30|short\n", r"u.item: line 3: must be 24 fields divided by \|.* got 2 in '30\|short'"),
        ("u.item", MOVIES.replace("20|", "10|"), r"u.item: item ids must be unique, got 10 2 times"),
    ],
)
def test_malformed_files_are_named_with_line_and_content(raw: Path, file: str, content: str, expected: str) -> None:
    (raw / file).write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=expected):
        read_movielens_100k(raw)


def test_missing_file(raw: Path) -> None:
    (raw / "u.item").unlink()
    with pytest.raises(DataError, match="u.item: no such file"):
        read_movielens_100k(raw)
