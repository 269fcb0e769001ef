import ast
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.generate import _python_2_literal, steam_like
from llara_core.datasets.gz_lines import read_blocks
from llara_core.datasets.python_literals import parse_line
from llara_core.datasets.steam import read_steam
from llara_core.errors import DataError

FIELDS = ("username", "product_id", "date")
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["u'product_id': u'7', ", "', u'date': u'x", '\\"', "it's", "\\", "{'a': 1}", "\u2028\x00'\""]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=5), max_size=3),
)
KEYS = st.one_of(st.sampled_from([*FIELDS, "text", "hours"]), st.text(max_size=6))


def _reference(line: str) -> tuple[str | None, ...]:
    record = ast.literal_eval(line)
    return tuple(None if record.get(field) is None else str(record[field]) for field in FIELDS)


@given(st.dictionaries(KEYS, VALUES, max_size=8), st.booleans())
def test_a_line_is_read_as_python_reads_it(record: dict, of_python_2: bool) -> None:
    line = _python_2_literal(record) if of_python_2 else repr(record)
    assert parse_line(line, FIELDS) == _reference(line)


_FULL = "{u'username': u'a', u'product_id': u'b', u'date': u'c', u'hours': %s}"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "{u'username': u'a'",
        "{u'username': u'a'} x",
        "[1]",
        "f()",
        "{u'a': __import__('os')}",
        "{u'a': 1 +}",
        _FULL % "foo",
        _FULL % "01",
        _FULL % "[a]",
        _FULL % "5L",
    ],
)
def test_what_is_no_dict_literal_is_none(line: str) -> None:
    assert parse_line(line, FIELDS) is None


@pytest.fixture(scope="module")
def steam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steam")
    steam_like(folder, 20_000)
    return folder


def test_generated_reviews_are_read_as_a_loop_reads_them(steam: Path) -> None:
    with gzip.open(steam / "steam_reviews.json.gz", "rt", encoding="utf-8", newline="\n") as file:
        records = [ast.literal_eval(line) for line in file]
    complete = [record for record in records if all(record.get(field) for field in FIELDS)]
    log = read_steam(steam)
    assert log.interactions["user"].to_pylist() == [record["username"] for record in complete]
    assert log.interactions["item"].to_pylist() == [record["product_id"] for record in complete]
    assert log.interactions["timestamp"].type == "int64"
    assert log.repairs["reviews_without_user_game_or_date_dropped"] == len(records) - len(complete) > 0
    assert log.repairs["trademarks_dropped"] > 0
    assert len(set(log.titles)) == len(log.titles) == len(log.item_ids)


def _write(path: Path, lines: list[str]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _review(game: str, date: str = "1970-01-03") -> str:
    return f"{{u'username': u'a', u'product_id': u'{game}', u'date': u'{date}'}}"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    _write(
        tmp_path / "steam_games.json.gz", ["{u'app_name': u'Portal\\u2122 &amp; More', u'id': u'7'}", "{u'id': u'8'}"]
    )
    _write(tmp_path / "steam_reviews.json.gz", [_review("7")] * 1999 + [_review("8")])
    return tmp_path


def test_by_hand(small: Path) -> None:
    log = read_steam(small)
    assert (log.item_ids.to_pylist(), log.titles) == (["7"], ["Portal & More"])
    assert set(log.interactions["timestamp"].to_pylist()) == {2 * 86_400}
    assert log.repairs == {
        "interactions_without_title_dropped": 1,
        "entities_resolved": 1,
        "trademarks_dropped": 1,
    }


def test_few_unreadable_lines_are_counted_and_many_are_an_error(small: Path) -> None:
    _write(small / "steam_reviews.json.gz", [_review("7")] * 1999 + ["{broken"])
    assert read_steam(small).repairs["unreadable_lines_dropped"] == 1
    _write(small / "steam_reviews.json.gz", [_review("7")] * 99 + ["{broken"])
    with pytest.raises(DataError, match=r"at most 0.1% of lines may be no Python literals, got 1 of 100.*'\{broken'"):
        read_steam(small)


def test_unusable_reviews(small: Path) -> None:
    _write(small / "steam_reviews.json.gz", [_review("8")])
    with pytest.raises(DataError, match="at most 5% of interactions may lack a title, got 1 of 1"):
        read_steam(small)
    _write(small / "steam_reviews.json.gz", [_review("7", "yesterday")])
    with pytest.raises(DataError, match="dates must be like 2017-12-17"):
        read_steam(small)


def test_truncated_and_false_gz_files(small: Path) -> None:
    path = small / "steam_reviews.json.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"steam_reviews.json.gz: must be a complete gz file"):
        read_steam(small)
    path.write_text("plain")
    with pytest.raises(DataError, match=r"steam_reviews.json.gz: must be a complete gz file: Not a gzipped file"):
        read_steam(small)


def test_a_gz_bomb_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(40):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match="must expand at most 200-fold"):
        list(read_blocks(path))


@given(st.lists(st.text("ab \r", max_size=30), min_size=1, max_size=40))
def test_blocks_end_at_line_ends(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("gz") / "x.gz"
    _write(path, lines)
    assert b"\n".join(read_blocks(path)).decode().split("\n") == lines
