from pathlib import Path

import pytest

from llara_core.datasets.lastfm import read_lastfm
from llara_core.errors import DataError

TAGS = "userID\tartistID\ttagID\ttimestamp\n2\t52\t13\t1238536800000\n2\t9\t15\t-999\n3\t77\t1\t5000\n"
ARTISTS = "id\tname\turl\tpictureURL\n52\tMorcheeba\thttp://a\thttp://b\n9\tBjörk\thttp://c\t\n"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "user_taggedartists-timestamps.dat").write_text(TAGS)
    (tmp_path / "artists.dat").write_text(ARTISTS)
    return tmp_path


def test_by_hand(raw: Path) -> None:
    log = read_lastfm(raw)
    assert log.interactions.to_pydict() == {
        "user": [2, 2],
        "item": [52, 9],
        "rating": [None, None],
        "timestamp": [1238536800, -1],
    }
    assert (log.item_ids.to_pylist(), log.titles) == ([9, 52], ["Björk", "Morcheeba"])
    assert log.repairs == {"taggings_of_unlisted_artists_dropped": 1}


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        (
            "user_taggedartists-timestamps.dat",
            TAGS + "1\t2\n",
            r"timestamps.dat: line 5: must be user, artist.*'1\\t2'",
        ),
        ("user_taggedartists-timestamps.dat", TAGS[30:], r"timestamps.dat: line 1: must be the header userID"),
        ("artists.dat", ARTISTS + "x\ty\n", r"artists.dat: line 4: must be id, name"),
        ("artists.dat", ARTISTS + "9\tBjork\n", r"artists.dat: line 4: ids must be unique, got 9 with another name"),
        ("artists.dat", "", r"artists.dat: must not be empty"),
    ],
)
def test_malformed_files(raw: Path, file: str, content: str, expected: str) -> None:
    (raw / file).write_text(content)
    with pytest.raises(DataError, match=expected):
        read_lastfm(raw)
