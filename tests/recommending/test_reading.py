"""Lists of titles, files of candidates, and files of histories: what is made of them, and how errors name the place."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llara_core.errors import LlaraError, RequestError
from llara_core.recommending.reading import (
    AmbiguousTitleError,
    known_items,
    read_candidates_file,
    read_requests,
    read_titles,
)
from llara_core.recommending.requests import Request
from tests.recommending.test_titles import INDEX


def test_titles_become_items_and_what_was_forgiven_is_said() -> None:
    read = read_titles(INDEX, ["toy story", "Toy Stroy", "terminator 2", "The Matrix"])
    assert read.items == (1, 1, 14, "The Matrix")
    assert [note.split('"')[1] for note in read.notes] == ["Toy Stroy", "terminator 2", "The Matrix"]
    assert read.notes[0] == '"Toy Stroy" is read as "Toy Story"'
    assert read.notes[2].endswith("it is read as text, without a behavioural token, and the recommender doesn't see it")
    assert known_items(read.items) == (1, 1, 14)


def test_all_questions_are_asked_at_once() -> None:
    with pytest.raises(AmbiguousTitleError) as asked:
        read_titles(INDEX, ["Hamlet", "Toy Story", "Star Trek"], "here")
    assert asked.value.exit_code == 3
    assert [line.split(":")[0] for line in str(asked.value).splitlines()] == ["here", "here"]
    questions = asked.value.details["questions"]
    assert [entry["typed"] for entry in questions] == ["Hamlet", "Star Trek"]
    assert questions[0]["choices"] == [
        {"item_id": 7, "title": "Hamlet (1996)"},
        {"item_id": 8, "title": "Hamlet (1948)"},
    ]


def test_a_file_of_candidates(tmp_path: Path) -> None:
    path = tmp_path / "tonight.txt"
    path.write_text("Alien\n\n toy stroy\n", encoding="utf-8")
    read = read_candidates_file(INDEX, path)
    assert read.items == (4, 1)
    assert read.notes == (f'{path}, line 3: "toy stroy" is read as "Toy Story"',)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"Alien\nThe Matrix\n", RequestError, "line 2: a candidate must be in the catalogue"),
        (b"Alien\n\nHamlet\n", AmbiguousTitleError, 'line 3: which title is "Hamlet"'),
        (b"Alien\n...\n", RequestError, "line 2[0]: a title must have a letter"),
        (b"\xff\xfe", RequestError, "must be a text file in UTF-8"),
        (None, RequestError, "must be a text file in UTF-8 with a title on each line: [Errno 2]"),
    ],
)
def test_a_bad_file_of_candidates(tmp_path: Path, content: bytes | None, kind: type, message: str) -> None:
    path = tmp_path / "tonight.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind) as refused:
        read_candidates_file(INDEX, path)
    assert str(refused.value).startswith(str(path))
    assert message in str(refused.value)


def _write(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_a_file_of_histories(tmp_path: Path) -> None:
    named = _write(
        tmp_path / "a.parquet",
        id=["x", "y"],
        history=[["toy story", "The Matrix"], ["alien"]],
        candidates=[None, ["Aliens", "id:2"]],
    )
    found = read_requests(INDEX, named, top=4)
    assert found == {"x": Request((1, "The Matrix"), top=4), "y": Request((4,), (5, 2), top=4)}
    numbered = _write(tmp_path / "b.parquet", history=pa.array([[1, 2], [3]], pa.list_(pa.int64())))
    assert read_requests(INDEX, numbered, top=4) == {"0": Request((1, 2), top=4), "1": Request((3,), top=4)}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"history": [["Alien"], []]}, "row 1: history must have at least one title or item id, got none"),
        ({"history": [["Alien"], None]}, "row 1: history must have at least one title"),
        ({"history": [["Alien"], ["Alien", None]]}, "row 1: history must have a value in every place"),
        ({"history": [["Alien"], ["Alien", ""]]}, "row 1: history[1]: a title must have a letter or a digit, got ''"),
        ({"history": [["Alien"], ["Hamlet"]]}, 'row 1: history: which title is "Hamlet"'),
        ({"history": [[1], [23]]}, "row 1: history[0]: id: must be followed by an item's id, 1..22, got 'id:23'"),
        ({"history": ["Alien"]}, "history must be of lists of strings (titles) or integers (item ids), got string"),
        ({"history": [[0.5]]}, "history must be of lists of strings (titles) or integers (item ids), got list"),
        ({"histories": [["Alien"]]}, "columns must be among id, history, candidates, got histories"),
        ({"id": ["x"]}, "must have a column history, got id"),
        ({"id": ["x", "x"], "history": [["Alien"]] * 2}, "row 1: id must be unique, got 'x', as in row 0"),
        ({"id": ["x", None], "history": [["Alien"]] * 2}, "row 1: id must have a value, got none"),
        ({"id": [0.5], "history": [["Alien"]]}, "id must be of strings or integers, got double"),
        ({"history": [["Alien"]], "candidates": [["Aliens"]]}, "row 0: candidates must be at least 2 different items"),
        ({"history": [["Alien"]], "candidates": [["Ran", "id:18"]]}, "row 0: candidates must be at least 2 different"),
        ({"history": [["Alien"]], "candidates": [["Ran", "The Matrix"]]}, "row 0: candidates must be in the catalogue"),
    ],
)
def test_a_bad_file_of_histories_names_row_and_field(tmp_path: Path, columns: dict, message: str) -> None:
    path = _write(tmp_path / "in.parquet", **columns)
    with pytest.raises(LlaraError) as refused:
        read_requests(INDEX, path, top=4)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    with pytest.raises(RequestError, match="got no such file"):
        read_requests(INDEX, path, top=4)
    path.write_bytes(b"id,history\n")
    with pytest.raises(RequestError, match="must be a Parquet file with histories: "):
        read_requests(INDEX, path, top=4)
    _write(path, history=pa.array([], pa.list_(pa.string())))
    with pytest.raises(RequestError, match="must have a row, got none"):
        read_requests(INDEX, path, top=4)


def test_what_is_forgiven_in_a_file_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _write(
        tmp_path / "typos.parquet", history=[["toy story", "The Matrix"], ["Toy Stroy"], ["Toy Stroy", "Alien"]]
    )
    with caplog.at_level("INFO", logger="llara"):
        requests = read_requests(INDEX, path, top=4)
    assert [request.history for request in requests.values()] == [(1, "The Matrix"), (1,), (1, 4)]
    assert caplog.messages == [f'{path}: row 1: history: "Toy Stroy" is read as "Toy Story"']
