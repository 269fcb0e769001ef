import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas._libs.internals import _unpickle_block
from pandas.core.indexes.base import _new_Index as new_index
from pandas.core.internals.managers import BlockManager

from llara_core.datasets.llara_release import read_llara_release
from llara_core.datasets.pickled_frame import read_frame
from llara_core.errors import DataError
from tests.conftest import ROOT

PAD = 6


def _classic(columns: dict[str, list]) -> pd.DataFrame:
    """Return a frame as older pandas pickles it: names are Python objects, not Arrow arrays."""
    return pd.DataFrame(list(zip(*columns.values(), strict=True)), columns=pd.Index(list(columns), dtype=object))


def _frame(rows: list[tuple[list[int], int]]) -> pd.DataFrame:
    windows = [[*history, *[PAD] * (3 - len(history))] for history, _ in rows]
    lengths = [max(1, len(history)) for history, _ in rows]
    return _classic({"seq": windows, "len_seq": lengths, "next": [following for _, following in rows]})


@pytest.fixture
def release(tmp_path: Path) -> Path:
    train = [([], 0), ([0], 1), ([0, 1], 2), ([0, 1, 2], 3), ([1, 2, 3], 0), ([], 4), ([4], 4), ([4, 4], 5)]
    _frame(train).to_pickle(tmp_path / "train_data.df")
    _frame([([3, 2], 1)]).to_pickle(tmp_path / "Val_data.df")
    _frame([([5, 4, 3], 2), ([0], 1)]).to_pickle(tmp_path / "Test_data.df")
    (tmp_path / "id2name.txt").write_text("\r\n".join(f"{i}::Artist {i}" for i in range(PAD)), encoding="utf-8")
    return tmp_path


def test_windows_are_joined_to_the_sequences_they_were_cut_from(release: Path) -> None:
    log = read_llara_release(release)
    joined: dict[int, list[int]] = {}
    for user, item in zip(log.interactions["user"].to_pylist(), log.interactions["item"].to_pylist(), strict=True):
        joined.setdefault(user, []).append(item)
    assert joined == {0: [0, 1, 2, 3, 0], 1: [4, 4, 5], 2: [3, 2, 1], 3: [5, 4, 3, 2], 4: [0, 1]}
    assert log.user_splits == {0: "train", 1: "train", 2: "validation", 3: "test", 4: "test"}
    assert log.interactions["timestamp"].to_pylist()[:6] == [0, 1, 2, 3, 4, 0]
    assert log.titles == [f"Artist {i}" for i in range(PAD)]


def test_titles_of_the_movielens_release_come_from_u_item(release: Path) -> None:
    (release / "id2name.txt").unlink()
    movies = [f"{i + 1}|Film {i} (1990)" + "|" * 22 for i in range(PAD)]
    (release / "u.item").write_text("\n".join(movies), encoding="latin-1")
    assert read_llara_release(release).titles == [f"Film {i}" for i in range(PAD)]


class _Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_malicious_pickle_is_refused_before_anything_runs(
    release: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    monkeypatch.chdir(release)
    evil = _classic({"seq": [[_Evil()]], "next": [1]}) if hidden else _Evil()
    (release / "train_data.df").write_bytes(pickle.dumps(evil))
    with pytest.raises(DataError, match=r"train_data.df: must be a pickled frame of plain columns: posix.mkdir is not"):
        read_llara_release(release)
    assert not (release / "owned").exists()


@pytest.mark.parametrize("name", [("os", "system"), ("builtins", "eval"), ("numpy", "load"), ("pandas", "read_pickle")])
def test_no_name_outside_the_list_is_resolved(tmp_path: Path, name: tuple[str, str]) -> None:
    (tmp_path / "x.df").write_bytes(f"c{name[0]}\n{name[1]}\n.".encode())
    with pytest.raises(DataError, match="is not allowed"):
        read_frame(tmp_path / "x.df")


class _Named:
    """Pickles as a call of something, with a state to set on it."""

    def __init__(self, call: object, *arguments: object, state: object = None) -> None:
        self.reduced = (call, arguments, state) if state is not None else (call, arguments)

    def __reduce__(self) -> tuple:
        return self.reduced


_DTYPE_STATE = (3, "|", None, None, None, -1, -1, 63)


def _dtype(name: str, state: tuple) -> _Named:
    return _Named(np.dtype, name, False, True, state=state)


_OBJECTS = _dtype("O8", _DTYPE_STATE)
_BYTES = _dtype("i1", (3, "|", None, None, None, -1, -1, 0))


def _array(shape: tuple, dtype: object, data: object) -> _Named:
    state = (1, shape, dtype, False, data)
    return _Named(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b", state=state)


def _forged(values: object, places: object = slice(0, 1, 1), names: object = None) -> bytes:
    """Pickle a frame of one column `seq`, made of forged parts."""
    index = _Named(new_index, pd.Index, {"data": names or np.array(["seq"], dtype=object), "name": None})
    block = _Named(_unpickle_block, values, places, 2)
    manager = _Named(BlockManager, (block,), [index, pd.RangeIndex(1)])
    state = {
        "_mgr": manager,
        "_typ": "dataframe",
        "_metadata": [],
        "attrs": {},
        "_flags": {"allows_duplicate_labels": True},
    }
    return pickle.dumps(_Named(pd.DataFrame, state=state), protocol=4)


def _bomb() -> bytes:
    """Return a frame of 2**15 rows that are one list of 2**15 items."""
    return _forged(_array((1, 1 << 15), _OBJECTS, [[0] * (1 << 15)] * (1 << 15)))


def _nest() -> _Named:
    """Return an array of objects that holds itself."""
    content: list = []
    array = _array((1, 1), _OBJECTS, content)
    content.append(array)
    return array


READ = """
import resource, sys
from pathlib import Path
from llara_core.datasets.pickled_frame import read_frame
from llara_core.errors import DataError

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for path in sys.argv[1:]:
    try:
        print("read", path, repr(read_frame(Path(path)))[:99], flush=True)
    except DataError as error:
        print("refused", error, flush=True)
"""
_COMPOUND = (3, "|", None, ("a",), {"a": (_OBJECTS, 0)}, 8, 1, 63)
HOSTILE = {
    "objects at forged addresses": _forged(_Named(np.ndarray, (1, 1), np.dtype("O"), b"A" * 8)),
    "objects out of bytes": _forged(_array((1, 1), _OBJECTS, b"A" * 8)),
    "objects out of a buffer": _forged(_Named(np._core.numeric._frombuffer, b"A" * 8, _OBJECTS, (1, 1), "C")),
    "bytes with strides beyond": _forged(_Named(np.ndarray, (1, 9), np.dtype("i8"), b"A" * 8, 0, (1 << 40, 1 << 40))),
    "bytes with an offset": _forged(_Named(np.ndarray, (1, 1), np.dtype("i8"), b"A" * 8, 1 << 40)),
    "more numbers than bytes": _forged(_array((1, 1 << 40), _BYTES, b"A")),
    "a shape without end": _forged(_array((1 << 62, 1 << 62), _BYTES, b"")),
    "rows of nothing": _forged(_array((1 << 40, 0), _BYTES, b"")),
    "a negative shape": _forged(_array((-1, -1), _BYTES, b"A")),
    "fewer objects than its shape": _forged(_array((1, 1 << 40), _OBJECTS, [[1]])),
    "one list in all rows": _bomb(),
    "an array in itself": _forged(_nest()),
    "endless columns": _forged(_array((1, 1), _BYTES, b"A"), slice(0, 1 << 60, 1)),
    "places below": _forged(_array((1, 1), _BYTES, b"A"), slice(-1, 0, 1)),
    "no step": _forged(_array((1, 1), _BYTES, b"A"), slice(0, 1, 0)),
    "a compound type": _forged(_array((1, 1), _dtype("V8", _COMPOUND), b"A" * 8)),
    "a type with metadata": _forged(_array((1, 1), _dtype("O8", (*_DTYPE_STATE, {"x": 1})), b"A" * 8)),
    "a type of text": _forged(_array((1, 1), _dtype("U999999999", _DTYPE_STATE), b"")),
    "state on a class": b"cnumpy\nndarray\n}S'__new__'\nI1\nsb.",
    "state on an instance": b"cnumpy\nndarray\n)\x81(N}S'args'\nI1\nstb.",
    "an index of the memo without end": b"\x80\x04]r\xff\xff\xff\xff.",
    "bytes of a forged length": b"\x80\x05\x8e" + (1 << 60).to_bytes(8, "little") + b"A.",
    "a buffer of a forged length": b"\x80\x05\x96" + (1 << 45).to_bytes(8, "little") + b"A.",
    "a frame of a forged length": b"\x80\x05\x95" + (1 << 60).to_bytes(8, "little") + b"N.",
    "a key that takes endless time to hash": b"\x80\x04})" + b"2\x86" * 60 + b"K\x01s.",
    "a key that takes too much stack to hash": b"\x80\x04})" + b"\x85" * 1_000_000 + b"K\x01s.",
    "such a key among several": b"\x80\x04}()" + b"2\x86" * 60 + b"K\x01u.",
    "such a key in a dict of its own": b"\x80\x04()" + b"2\x86" * 60 + b"K\x01d.",
    "a set of it": b"\x80\x04\x8f()" + b"2\x86" * 60 + b"\x90.",
    "a frozen set of it": b"\x80\x04()" + b"2\x86" * 60 + b"\x91.",
    "a persistent id": b"Pposix.system\n.",
    "an extension": b"\x80\x02\x82\x01.",
    "a number of many digits": _forged(_array((1, 1), _OBJECTS, [[1 << 99999]])),
}  # fmt: skip


def test_hostile_frames_are_refused_without_harm(tmp_path: Path) -> None:
    """In a process of its own: a segmentation fault or too much memory is a failed test."""
    paths = [tmp_path / name for name in HOSTILE]
    for path in paths:
        path.write_bytes(HOSTILE[path.name])
    command = [sys.executable, "-c", READ, *map(str, paths)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    lines = result.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"refused {path}" for path in paths]
    assert (result.returncode, result.stderr) == (0, "")


def test_forged_frames_are_told_from_good_ones_by_their_fault_alone(tmp_path: Path) -> None:
    """What `_forged` makes of sound parts is read, so that above each frame is refused for its own reason."""
    (tmp_path / "x.df").write_bytes(_forged(_array((1, 2), _OBJECTS, [[1, 2], [3]])))
    assert read_frame(tmp_path / "x.df") == {"seq": [[1, 2], [3]]}
    (tmp_path / "x.df").write_bytes(_forged(_array((1, 3), _BYTES, b"\1\2\xff")))
    assert read_frame(tmp_path / "x.df") == {"seq": [1, 2, -1]}


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_all_layouts_of_plain_columns_are_read(tmp_path: Path, protocol: int) -> None:
    frame = _classic({"a": [1, 2, 3], "b": [[1, 2], [np.int64(3)], np.array([4, 5])], "c": [0.5, 1.5, -2.0]})
    frame["d"] = np.asfortranarray([[7, 8, 9], [1, 2, 3]], dtype=">i2").T[:, 0]
    frame["e"] = ["x", None, True]
    frame["f"] = [6, 5, 4]
    expected = {
        "a": [1, 2, 3],
        "b": [[1, 2], [3], [4, 5]],
        "c": [0.5, 1.5, -2.0],
        "d": [7, 8, 9],
        "e": ["x", None, True],
        "f": [6, 5, 4],
    }
    for columns in (["a", "b", "c", "d", "e", "f"], ["a", "f"], ["f", "c", "a"], ["e", "b"]):
        for rows in (frame[columns], frame[columns].copy(), frame[columns].iloc[::-1].copy()):
            part = rows.set_axis(pd.Index(columns, dtype=object), axis=1)
            (tmp_path / "x.df").write_bytes(pickle.dumps(part, protocol=protocol))
            order = slice(None, None, int(rows.index[1] - rows.index[0]))
            assert read_frame(tmp_path / "x.df") == {name: expected[name][order] for name in columns}


@pytest.mark.parametrize("cell", [[1.5], [True], 1, "1", [None]])
def test_windows_hold_whole_numbers(release: Path, cell: object) -> None:
    _classic({"seq": [[1], cell], "next": [1, 2]}).to_pickle(release / "Val_data.df")
    with pytest.raises(DataError, match=r"Val_data.df: row 1: seq must be a list of whole numbers"):
        read_llara_release(release)


def test_frames_without_rows_are_refused(release: Path) -> None:
    for name in ("train_data.df", "Val_data.df", "Test_data.df"):
        _classic({"seq": [], "next": []}).to_pickle(release / name)
    with pytest.raises(DataError, match=r"must hold windows, got none"):
        read_llara_release(release)


def test_what_is_no_frame_or_cut_off_is_refused(release: Path) -> None:
    path = release / "train_data.df"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"train_data.df: (not a complete|must be a) pickled frame"):
        read_llara_release(release)
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match="must be a pickled pandas frame, got list"):
        read_llara_release(release)


def test_unknown_items_columns_and_names_are_refused(release: Path) -> None:
    _frame([([9], 1)]).to_pickle(release / "Val_data.df")
    with pytest.raises(DataError, match=r"Val_data.df: row 0: items must lie in 0..5, got \[9, 1\]"):
        read_llara_release(release)
    _classic({"seq": [[1]]}).to_pickle(release / "Val_data.df")
    with pytest.raises(DataError, match=r"must have the columns next, found seq"):
        read_llara_release(release)
    (release / "id2name.txt").write_text("0::A\n2::B\n")
    with pytest.raises(DataError, match=r"id2name.txt: line 2: must be 1::name; got '2::B'"):
        read_llara_release(release)
