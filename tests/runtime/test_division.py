import os
from importlib.machinery import ModuleSpec

import pytest

from llara_core.errors import ModelError
from llara_core.runtime import division as launcher
from llara_core.runtime.division import division, is_divided, take_over_division

WISHES = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "ZeRO-3"}


@pytest.fixture(autouse=True)
def _two_processes_with_deepspeed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLARA_DIVIDED", "")  # so that what a test leaves there is taken back
    monkeypatch.delenv("LLARA_DIVIDED")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(launcher, "find_spec", lambda name: ModuleSpec(name, None))


@pytest.fixture(params=WISHES)
def wish(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """By which the launcher says that the model is to be divided."""
    monkeypatch.setenv(request.param, "true")
    return str(request.param)


def test_accelerate_is_not_told_of_a_division(wish: str) -> None:
    for _ in range(2):
        take_over_division()
        assert wish not in os.environ
        assert is_divided()
        assert division() == WISHES[wish]


def test_one_process_keeps_all(wish: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    take_over_division()
    assert not is_divided()


@pytest.mark.parametrize("said", ["True", "1"])
def test_a_wish_is_one_in_all_of_accelerate_s_words(wish: str, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(wish, said)
    take_over_division()
    assert is_divided()


@pytest.mark.parametrize("said", ["false", "0", None])
def test_other_launchers_divide_nothing(wish: str, monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    monkeypatch.delenv(wish)
    if said is not None:
        monkeypatch.setenv(wish, said)
    take_over_division()
    assert not is_divided()


@pytest.mark.parametrize(
    ("wish", "name", "said", "message"),
    [
        ("FSDP", "FSDP_VERSION", "1", "fsdp_version must be 2, got 1"),
        ("FSDP", "FSDP_OFFLOAD_PARAMS", "True", "fsdp_offload_params must be false, got true"),
        ("FSDP", "FSDP_RESHARD_AFTER_FORWARD", "FULL_SHARD", "fsdp_reshard_after_forward must be true, got full_shard"),
        ("DEEPSPEED", "ACCELERATE_DEEPSPEED_ZERO_STAGE", "2", "launcher's zero_stage must be 3, got 2"),
        ("DEEPSPEED", "ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE", "cpu", "offload_param_device must be none, got cpu"),
        ("DEEPSPEED", "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE", "cpu", "optimizer_device must be none, got cpu"),
        ("DEEPSPEED", "ACCELERATE_GRADIENT_CLIPPING", "1.0", "launcher's gradient_clipping must be none, got 1.0"),
        ("DEEPSPEED", "ACCELERATE_DEEPSPEED_CONFIG_FILE", "a.json", "launcher's config_file must be none, got a.json"),
    ],
)
def test_what_is_not_done_is_refused(
    monkeypatch: pytest.MonkeyPatch, wish: str, name: str, said: str, message: str
) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{wish}", "true")
    monkeypatch.setenv(name, said)
    with pytest.raises(ModelError, match=message):
        take_over_division()


def test_deepspeed_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setattr(launcher, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"zero3.yaml needs the package deepspeed: pip install .*\[deepspeed\]"):
        take_over_division()


def test_fsdp_needs_no_deepspeed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setattr(launcher, "find_spec", lambda name: None)
    take_over_division()
    assert division() == "FSDP"
