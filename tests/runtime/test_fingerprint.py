import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from llara_core.runtime import fingerprint
from llara_core.runtime.fingerprint import experiment_fingerprint
from tests.conftest import ROOT


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small tree of code that stands for ours."""
    for name in ("llara_core/objectives/prompt_plan.py", "llara_core/sequences/plan.py", "stages/finetune.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    monkeypatch.setattr(fingerprint, "_ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def take(root: Path) -> Callable[..., str]:
    (root / "input").write_text("one")
    return lambda seed=0: experiment_fingerprint({"seed": seed}, [root / "input"])


def test_it_follows_settings_and_the_bytes_of_inputs(root: Path, take: Callable[..., str]) -> None:
    first = take()
    assert take() == first
    assert take(seed=1) != first
    stat = (root / "input").stat()
    (root / "input").write_text("two")  # of the same size …
    os.utime(root / "input", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # … and time
    assert take() != first


@pytest.mark.parametrize("name", ["llara_core/objectives/prompt_plan.py", "stages/finetune.py"])
def test_it_follows_the_code_of_core_and_stages(root: Path, take: Callable[..., str], name: str) -> None:
    first = take()
    (root / name).write_text("changed\n")
    assert take() != first


def test_it_follows_the_place_of_code(root: Path, take: Callable[..., str]) -> None:
    first = take()
    one, other = root / "llara_core/objectives/prompt_plan.py", root / "llara_core/sequences/plan.py"
    text = one.read_text()
    one.write_text(other.read_text())
    other.write_text(text)
    assert take() != first


@pytest.mark.parametrize(
    "library",
    [
        *("accelerate", "gguf", "numpy", "peft", "safetensors", "tokenizers", "torch", "transformers"),
        *("bitsandbytes", "flash-attn"),  # also where they aren't installed
    ],
)
def test_it_follows_the_versions_of_what_computes(
    take: Callable[..., str], monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    first, installed = take(), fingerprint.version
    monkeypatch.setattr(fingerprint, "version", lambda name: "0.0" if name == library else installed(name))
    assert take() != first


def test_it_follows_the_kind_of_device(take: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "choose_device", lambda: torch.device("cpu"))
    first = take()
    monkeypatch.setattr(fingerprint, "choose_device", lambda: torch.device("cuda", 0))
    on_gpu = take()
    monkeypatch.setattr(fingerprint, "choose_device", lambda: torch.device("cuda", 1))
    assert first != on_gpu == take()  # processes agree


def test_it_follows_the_number_of_processes(take: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = take()
    monkeypatch.setenv("WORLD_SIZE", "2")  # whose masks of dropout are others
    assert take() != first


def test_what_processes_only_share_has_one_name_for_any_number_of_them(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = experiment_fingerprint({}, [], by_processes=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert experiment_fingerprint({}, [], by_processes=False) == first


def test_our_code_is_what_is_hashed() -> None:
    found = set(fingerprint._code())
    assert {
        ROOT / "stages/finetune.py",
        ROOT / "stages/pretrain.py",
        ROOT / "llara_core/objectives/prompt_plan.py",
    } <= found
    assert not any("tests" in path.relative_to(ROOT).parts for path in found)
