from collections.abc import Callable
from pathlib import Path

import pytest

from llara_core.errors import ArtifactError
from llara_core.runtime.seal import require_seal, seal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    seal(tmp_path)
    return tmp_path


def test_what_was_sealed_is_accepted(folder: Path) -> None:
    require_seal(folder)


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_write("b.txt", "c"), r"b.txt: must be the file that was written with the others \(SHA-256 3e23e8160039…"),
        (_write("c.txt", "c"), "c.txt: must not be there, for sha256.json doesn't list it"),
        (lambda folder: (folder / "a.txt").unlink(), "a.txt: no such file, but sha256.json lists it"),
        (lambda folder: (folder / "sha256.json").unlink(), "sha256.json: no such file; run `dvc repro`"),
        (_write("sha256.json", "{"), "sha256.json: must list the digests of the files beside it"),
        (_write("sha256.json", "[]"), "sha256.json: must list the digests of the files beside it, got list"),
    ],
)
def test_anything_else_is_named(folder: Path, change: Callable[[Path], object], expected: str) -> None:
    change(folder)
    with pytest.raises(ArtifactError, match=expected):
        require_seal(folder)
