import os
import pickle
from pathlib import Path

import pandas as pd
import pytest

from llara_core.datasets.llara_release import read_llara_release
from llara_core.datasets.safe_pickle import read_frame
from llara_core.errors import DataError

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
