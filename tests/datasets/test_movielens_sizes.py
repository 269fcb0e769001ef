from pathlib import Path

import pytest

from llara_core.datasets.movielens_1m import read_movielens_1m
from llara_core.datasets.movielens_csv import read_movielens_csv
from llara_core.errors import DataError

RATINGS_1M = "1::20::3::100\n2::10::5::50\n"
MOVIES_1M = "10::Alien: The Film (1979)::Horror\n20::Misérables, Les (1995)::Drama|Musical\n"
RATINGS_CSV = "userId,movieId,rating,timestamp\n1,20,3.5,100\n2,10,5.0,50\n"
MOVIES_CSV = 'movieId,title,genres\n20,"American President, The (1995)",Comedy\n10,"""Great"" Escape (1963)",War\n'


@pytest.fixture
def one_million(tmp_path: Path) -> Path:
    (tmp_path / "ratings.dat").write_text(RATINGS_1M)
    (tmp_path / "movies.dat").write_text(MOVIES_1M, encoding="latin-1")
    return tmp_path


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    (tmp_path / "ratings.csv").write_text(RATINGS_CSV)
    (tmp_path / "movies.csv").write_text(MOVIES_CSV)
    return tmp_path


def test_one_million(one_million: Path) -> None:
    log = read_movielens_1m(one_million)
    assert log.interactions.to_pydict() == {
        "user": [1, 2],
        "item": [20, 10],
        "rating": [3.0, 5.0],
        "timestamp": [100, 50],
    }
    assert log.item_ids.to_pylist() == [10, 20]
    assert log.titles == ["Alien: The Film", "Misérables, Les"]


def test_csv(csv: Path) -> None:
    log = read_movielens_csv(csv)
    assert log.interactions["rating"].to_pylist() == [3.5, 5.0]
    assert log.item_ids.to_pylist() == [10, 20]
    assert log.titles == ['"Great" Escape', "The American President"]


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("ratings.dat", RATINGS_1M + "3::10::x::5\n", r"ratings.dat: line 3: must be user::item.*got '3::10::x::5'"),
        ("ratings.dat", RATINGS_1M + "3:10:4:5\n", r"ratings.dat: line 3"),
        ("ratings.dat", RATINGS_1M + "3:a:10::4::5\n", r"ratings.dat: line 3"),
        ("ratings.dat", RATINGS_1M.replace("::", "\t"), r"ratings.dat: line 1"),
        ("movies.dat", MOVIES_1M + "x::y\n", r"movies.dat: line 3: must be id::title::genres"),
        ("movies.dat", MOVIES_1M + MOVIES_1M, r"movies.dat: item ids must be unique, got 10 2 times"),
    ],
)
def test_malformed_one_million(one_million: Path, file: str, content: str, expected: str) -> None:
    (one_million / file).write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match=expected):
        read_movielens_1m(one_million)


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("ratings.csv", RATINGS_CSV + "3,10,4\n", r"ratings.csv: line 4: must be 4 fields.*got '3,10,4'"),
        ("ratings.csv", RATINGS_CSV + "3,10,high,4\n", r"ratings.csv: line 4"),
        ("ratings.csv", RATINGS_CSV.split("\n", 1)[1], r"ratings.csv: line 1: must be the header userId,.*got '1,20"),
        ("movies.csv", "id,name\n1,a\n", r"movies.csv: line 1: must be the header movieId,title,genres"),
    ],
)
def test_malformed_csv(csv: Path, file: str, content: str, expected: str) -> None:
    (csv / file).write_text(content)
    with pytest.raises(DataError, match=expected):
        read_movielens_csv(csv)
