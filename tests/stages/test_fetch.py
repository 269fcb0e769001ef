import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from llara_core.errors import SourceError
from llara_core.sourcing import source as source_module
from stages.fetch import fetch
from tests.conftest import ROOT

Serve = Callable[[bytes], None]


def _archive(ratings: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("ml-32m/ratings.csv", ratings)
        file.writestr("ml-32m/movies.csv", b"movies")
    return content.getvalue()


@pytest.fixture
def params_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLARA_RAW_DIR", raising=False)
    text = (ROOT / "params.yaml").read_text().replace("dataset: {name: ml-100k}", "dataset: {name: ml-32m}")
    (tmp_path / "params.yaml").write_text(text)
    return tmp_path / "params.yaml"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    def start(content: bytes) -> None:
        def download(url: str, destination: Path, most_bytes: int) -> None:
            assert url == "https://files.grouplens.org/datasets/movielens/ml-32m.zip"
            assert len(content) < most_bytes
            destination.write_bytes(content)

        monkeypatch.setattr(source_module, "download", download)

    return start


def test_what_has_no_published_sum_is_downloaded_on_trust_and_held_to_it(params_path: Path, serve: Serve) -> None:
    serve(_archive(b"first"))
    with pytest.raises(SourceError, match=r"ml-32m.zip: no SHA-256 of it is published: .* --trust"):
        fetch(params_path)
    assert not Path("data/raw").exists()
    assert not Path("checksums.json").exists()

    fetch(params_path, trust=True)
    # printf first | sha256sum; printf movies | sha256sum
    sums = {
        "ml-32m/ratings.csv": "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e",
        "ml-32m/movies.csv": "a941e049e9b1a5f8f3e2c1d39ee03082c184e89224e519c0bef6d8694743159a",
    }
    assert json.loads(Path("checksums.json").read_text()) == sums

    fetch(params_path)
    assert Path("data/raw/ratings.csv").read_bytes() == b"first"
    serve(_archive(b"second"))
    for trust in (False, True):
        with pytest.raises(SourceError, match=f"ratings.csv must have SHA-256 {sums['ml-32m/ratings.csv']}, got"):
            fetch(params_path, trust=trust)
    assert Path("data/raw/ratings.csv").read_bytes() == b"first"


def test_what_was_placed_is_held_to_its_recorded_sum_too(
    params_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = tmp_path / "mine" / "ml-32m"
    placed.mkdir(parents=True)
    monkeypatch.setenv("LLARA_RAW_DIR", str(placed.parent))
    for name in ("ratings.csv", "movies.csv"):
        (placed / name).write_bytes(b"first")
    fetch(params_path)
    assert not Path("checksums.json").exists()
    fetch(params_path, trust=True)
    (placed / "ratings.csv").write_bytes(b"second")
    with pytest.raises(SourceError, match=r"ratings.csv must have SHA-256 a7937b64"):
        fetch(params_path)


@pytest.mark.parametrize("content", ["[]", "{", '{"ml-32m/ratings.csv": "abc"}', '{"ml-32m/ratings.csv": null}'])
def test_unusable_sums_are_refused(params_path: Path, content: str) -> None:
    Path("checksums.json").write_text(content)
    with pytest.raises(SourceError, match=r"checksums.json: "):
        fetch(params_path)
