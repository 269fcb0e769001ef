import os
from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch

from llara_core.errors import ParamsError
from llara_core.runtime.compute import autocast, mixed_precision, seed_torch, wait_for_all


@pytest.fixture
def _as_before() -> Iterator[None]:
    was, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    yield
    torch.use_deterministic_algorithms(was, warn_only=warned)


@pytest.mark.usefixtures("_as_before")
def test_operations_whose_results_vary_are_refused() -> None:
    seed_torch(0)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":4096:8", ":16:8")
    with pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"):
        torch.zeros(2).put_(torch.tensor([0, 0]), torch.ones(2))


@pytest.mark.usefixtures("_as_before")
def test_the_seed_decides_what_is_drawn() -> None:
    draws = []
    for seed in (3, 4, 3):
        seed_torch(seed)
        draws.append(torch.rand(4).tolist())
    assert draws[0] == draws[2] != draws[1]


def test_precision_is_named_to_accelerate(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert mixed_precision("train.precision", "float32") == "no"
    assert not caplog.messages
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = {"avx2": True, "avx512_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    with caplog.at_level("WARNING", "llara"):
        assert mixed_precision("train.precision", "bfloat16") == "bf16"
        assert not caplog.messages
        found["avx512_bf16"] = False
        assert mixed_precision("train.precision", "bfloat16") == "bf16"
    assert caplog.messages == [
        "train.precision: bfloat16 is slower than float32 on this CPU, which has no instructions for it"
    ]


def test_a_gpu_without_bfloat16_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    # PyTorch emulates bfloat16 on GPUs that lack it, and counts that as support unless asked not to.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    with pytest.raises(ParamsError, match="pretrain.precision must be float32 on Tesla T4, got bfloat16"):
        mixed_precision("pretrain.precision", "bfloat16")
    assert mixed_precision("pretrain.precision", "float32") == "no"


def test_autocast_covers_matrix_products() -> None:
    ones = torch.ones(2, 2)
    with autocast("bfloat16"):
        assert (ones @ ones).dtype == torch.bfloat16
    with autocast("float32"):
        assert (ones @ ones).dtype == torch.float32


def test_processes_wait_for_each_other_however_long_one_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the half hour that is PyTorch's default."""
    made = []

    class State:
        def __init__(self, **options: object) -> None:
            made.append(options)

        def wait_for_everyone(self) -> None:
            made.append("waited")

    monkeypatch.setattr("accelerate.PartialState", State)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    wait_for_all()
    assert made == []
    monkeypatch.setenv("WORLD_SIZE", "2")
    wait_for_all()
    assert made == [{"cpu": True, "timeout": timedelta(days=30)}, "waited"]
