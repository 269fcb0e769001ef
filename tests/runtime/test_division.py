import os

import pytest

from llara_core.errors import ModelError
from llara_core.runtime.division import is_divided, take_over_division


@pytest.fixture(autouse=True)
def _launched_by_fsdp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLARA_DIVIDED", "")  # so that what a test leaves there is taken back
    monkeypatch.delenv("LLARA_DIVIDED")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("WORLD_SIZE", "2")


def test_accelerate_is_not_told_of_fsdp() -> None:
    for _ in range(2):
        take_over_division()
        assert "ACCELERATE_USE_FSDP" not in os.environ
        assert is_divided()


def test_one_process_keeps_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    take_over_division()
    assert not is_divided()


@pytest.mark.parametrize("said", ["false", None])
def test_other_launchers_divide_nothing(monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    monkeypatch.delenv("ACCELERATE_USE_FSDP")
    if said is not None:
        monkeypatch.setenv("ACCELERATE_USE_FSDP", said)
    take_over_division()
    assert not is_divided()


@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        ("FSDP_VERSION", "1", "fsdp_version must be 2, got 1"),
        ("FSDP_OFFLOAD_PARAMS", "True", "fsdp_offload_params must be false, got true"),
        ("FSDP_RESHARD_AFTER_FORWARD", "FULL_SHARD", "fsdp_reshard_after_forward must be true, got full_shard"),
        ("ACCELERATE_USE_DEEPSPEED", "true", r"must be MULTI_GPU or FSDP \(launch/fsdp.yaml.*, got DEEPSPEED"),
    ],
)
def test_what_is_not_done_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, said: str, message: str) -> None:
    monkeypatch.setenv(name, said)
    with pytest.raises(ModelError, match=message):
        take_over_division()
