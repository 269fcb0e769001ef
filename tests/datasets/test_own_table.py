from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llara_core.datasets.own_table import read_own_table
from llara_core.errors import DataError
from llara_core.params.datasets import Columns, OwnData
from llara_core.params.params import Params

CSV = "who,what,when,name,stars\nann,7,100,Heat,4\nbob,9,50,Alien,\nann,9,70,Alien,2\n"


@pytest.fixture
def dataset(params: Params) -> OwnData:
    movielens = params.datasets["ml-1m"]
    return OwnData(
        source="csv",
        interactions=Path("/anywhere/log.csv"),
        items=None,
        columns=Columns(user="who", item="what", timestamp="when", title="name", rating="stars"),
        filters=movielens.filters,
        nouns=movielens.nouns,
    )


def test_csv_with_titles_beside_the_interactions(tmp_path: Path, dataset: OwnData) -> None:
    (tmp_path / "log.csv").write_text(CSV)
    log = read_own_table(tmp_path, dataset)
    assert log.interactions.to_pydict() == {
        "user": ["ann", "bob", "ann"],
        "item": [7, 9, 9],
        "rating": [4.0, None, 2.0],
        "timestamp": [100, 50, 70],
    }
    assert (log.item_ids.to_pylist(), log.titles, log.repairs) == ([7, 9], ["Heat", "Alien"], {})


def test_parquet_with_an_items_file_and_without_ratings(tmp_path: Path, dataset: OwnData) -> None:
    names = dataset.columns.model_copy(update={"rating": None})
    changes = {
        "source": "parquet",
        "interactions": Path("log.parquet"),
        "items": Path("items.parquet"),
        "columns": names,
    }
    pq.write_table(pa.table({"who": [1, 2], "what": ["b", "a"], "when": [5, 6]}), tmp_path / "log.parquet")
    pq.write_table(pa.table({"what": ["a", "b", "c"], "name": ["A", "B", "C"]}), tmp_path / "items.parquet")
    log = read_own_table(tmp_path, dataset.model_copy(update=changes))
    assert log.item_ids.to_pylist() == ["a", "b", "c"]
    assert log.interactions["rating"].null_count == 2


@pytest.mark.parametrize(
    ("times", "seconds", "repairs"),
    [
        (("100", "50", "70"), [100, 50, 70], {}),
        (("1513468800123", "1513468801000", "1513468802999"), [1513468800, 1513468801, 1513468802],
         {"milliseconds_converted_to_seconds": 3}),
        (("2017-12-17", "2017-12-18", "1970-01-02"), [1513468800, 1513555200, 86400],
         {"dates_converted_to_seconds": 3}),
        (("2017-12-17 00:00:01", "2017-12-17 00:00:02", "1970-01-01 00:00:03"), [1513468801, 1513468802, 3],
         {"dates_converted_to_seconds": 3}),
        (("100.9", "50.0", "70.5"), [100, 50, 70], {}),
    ],
)  # fmt: skip
def test_units_of_time_are_recognised(
    tmp_path: Path, dataset: OwnData, times: tuple[str, ...], seconds: list[int], repairs: dict[str, int]
) -> None:
    text = CSV
    for old, new in zip(("100", "50", "70"), times, strict=True):
        text = text.replace(f",{old},", f",{new},")
    (tmp_path / "log.csv").write_text(text)
    log = read_own_table(tmp_path, dataset)
    assert log.interactions["timestamp"].to_pylist() == seconds
    assert log.repairs == repairs


def test_another_encoding_is_told(tmp_path: Path, dataset: OwnData) -> None:
    (tmp_path / "log.csv").write_bytes(CSV.replace("Heat", "Café").encode("latin-1"))
    with pytest.raises(DataError, match="column name must be UTF-8 text"):
        read_own_table(tmp_path, dataset)


def test_another_delimiter_is_told(tmp_path: Path, dataset: OwnData) -> None:
    (tmp_path / "log.csv").write_text(CSV.replace(",", ";"))
    with pytest.raises(DataError, match="must have the columns who, what, when, stars, name, found who;what;when"):
        read_own_table(tmp_path, dataset)


def test_numbers_may_be_titles(tmp_path: Path, dataset: OwnData) -> None:
    (tmp_path / "log.csv").write_text(CSV.replace("Heat", "1984").replace("Alien", "2001"))
    assert read_own_table(tmp_path, dataset).titles == ["1984", "2001"]


def test_few_untitled_items_are_dropped_and_counted(tmp_path: Path, dataset: OwnData) -> None:
    rows = "".join(f"u{i},7,{i},Heat,1\n" for i in range(199))
    (tmp_path / "log.csv").write_text("who,what,when,name,stars\n" + rows + "ann,8,1, ,1\n")
    log = read_own_table(tmp_path, dataset)
    assert len(log.interactions) == 199
    assert log.item_ids.to_pylist() == [7]
    assert log.repairs["interactions_without_title_dropped"] == 1


@pytest.mark.parametrize("users", [["", "bob"], [None, "bob"], ["\t", "bob"]])
def test_a_parquet_user_must_not_be_empty(tmp_path: Path, dataset: OwnData, users: list) -> None:
    columns = {"who": users, "what": [7, 9], "when": [1, 2], "name": ["Heat", "Alien"], "stars": [1.0, 2.0]}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    changes = {"source": "parquet", "interactions": Path("log.parquet")}
    with pytest.raises(DataError, match=r"log.parquet: column who must have an id in every row, got 1 "):
        read_own_table(tmp_path, dataset.model_copy(update=changes))


def test_an_item_with_several_titles_is_counted_with_an_example(tmp_path: Path, dataset: OwnData) -> None:
    rows = "ann,7,1,Heat,1\nbob,9,2,Alien (1979),1\nann,9,3, Alien,1\nbob,9,4,Alien,1\neve,9,5,Zeta,1\n"
    rows += "eve,11,6,Babe,1\nann,11,7,Babe,1\nann,12,8,B,1\nbob,12,9,A,1\n"
    for text in (rows, "".join(reversed(rows.splitlines(keepends=True)))):
        (tmp_path / "log.csv").write_text("who,what,when,name,stars\n" + text)
        log = read_own_table(tmp_path, dataset)
        assert log.titles == ["Heat", "Alien", "Babe", "A"]
        assert log.repairs == {
            "items_with_several_titles": 2,
            "items_with_several_titles_example": "9: 'Alien', not 'Alien (1979)'",
        }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("who,", "user,", r"must have the columns who, found user, what, when, name, stars"),
        ("ann,7", "ann,-7", r"column what must hold ids ≥ 0, got -7"),
        ("ann,7,100", "ann,7,", r"column when must have a time in every row, got 1 without"),
        ("ann,7,100", "ann,7,soon", r"column when must hold seconds, milliseconds or dates, got string"),
        ("ann,7,100", "ann,7,1513468800123", r"times of one unit, got seconds and milliseconds"),
        ("ann,7,", "ann,,", r"column what must have an id in every row, got 1 without"),
        ("ann,7", ",7", r"log.csv: column who must have an id in every row, got 1 empty ones"),
        ("ann,7", " ,7", r"log.csv: column who must have an id in every row, got 1 empty ones"),
        ("ann,7", '"",7', r"log.csv: column who must have an id in every row, got 1 empty ones"),
        ("Heat", " ", r"at most 1% of interactions may lack a title, got 1"),
        ("ann,7,100,Heat,4", "ann,7", r"not readable as csv"),
        ("Heat,4", "Heat,good", r"column stars must hold numbers, got string"),
    ],
)
def test_unusable_tables(tmp_path: Path, dataset: OwnData, old: str, new: str, expected: str) -> None:
    (tmp_path / "log.csv").write_text(CSV.replace(old, new, 1))
    with pytest.raises(DataError, match=expected):
        read_own_table(tmp_path, dataset)
