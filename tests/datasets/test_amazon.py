import gzip
import json
from pathlib import Path

import pytest

from llara_core.datasets.amazon import read_amazon
from llara_core.errors import DataError


def _write(path: Path, lines: list[str]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _review(user: str | None, item: str, milliseconds: int = 1588687728923) -> str:
    images = [{"small_image_url": "x"}]
    record = {"rating": 4.0, "title": "fine", "text": 'say "it"\n', "images": images, "asin": "other"}
    return json.dumps(
        record | {"parent_asin": item, "user_id": user, "timestamp": milliseconds, "verified_purchase": True}
    )


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    titles = [("B1", "Zelda: Link&#39;s Awakening™"), ("B2", ""), ("B3", "Mario")]
    metadata = [
        json.dumps({"main_category": "G", "title": title, "parent_asin": asin, "price": "None"})
        for asin, title in titles
    ]
    _write(tmp_path / "meta_Video_Games.jsonl.gz", metadata)
    _write(tmp_path / "Video_Games.jsonl.gz", [_review("u1", "B1")] * 1998 + [_review("u2", "B2"), _review(None, "B3")])
    return tmp_path


def test_by_hand(raw: Path) -> None:
    log = read_amazon(raw, "Video_Games")
    assert log.item_ids.to_pylist() == ["B1", "B3"]
    assert log.titles == ["Zelda: Link's Awakening", "Mario"]
    assert len(log.interactions) == 1998
    assert log.interactions.slice(0, 1).to_pylist() == [
        {"user": "u1", "item": "B1", "rating": 4.0, "timestamp": 1588687728}
    ]
    assert log.repairs == {
        "reviews_without_user_item_or_time_dropped": 1,
        "interactions_without_title_dropped": 1,
        "entities_resolved": 1,
        "trademarks_dropped": 1,
    }


def test_few_broken_lines_are_counted_and_many_are_an_error(raw: Path) -> None:
    _write(raw / "Video_Games.jsonl.gz", [*[_review("u1", "B1")] * 1000, "{broken", *[_review("u2", "B3")] * 1000])
    log = read_amazon(raw, "Video_Games")
    assert (len(log.interactions), log.repairs["unreadable_lines_dropped"]) == (2000, 1)
    _write(raw / "Video_Games.jsonl.gz", [_review("u1", "B1"), "{broken"])
    with pytest.raises(
        DataError, match=r"at most 0.1% of lines may be no JSON objects, got 1 of 2, such as '\{broken'"
    ):
        read_amazon(raw, "Video_Games")


def test_many_reviews_without_a_title_are_an_error(raw: Path) -> None:
    _write(raw / "Video_Games.jsonl.gz", [_review("u1", "B1"), _review("u1", "B9")])
    with pytest.raises(DataError, match="at most 5% of interactions may lack a title, got 1 of 2"):
        read_amazon(raw, "Video_Games")
