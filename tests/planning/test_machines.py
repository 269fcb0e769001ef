"""Memory by the system's files, and disk."""

from pathlib import Path

import pytest

from llara_core.planning import machines
from llara_core.planning.duration import estimate_duration
from llara_core.planning.workload import Workload

MEMINFO = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\nHugePages_Total:       0\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "meminfo").write_text(MEMINFO)
    real = machines._main_memory
    monkeypatch.setattr(machines, "_main_memory", lambda _: real(tmp_path / "meminfo"))
    monkeypatch.setattr(machines, "_CGROUP_LIMITS", (tmp_path / "max",))
    monkeypatch.setattr(machines, "_CGROUP_USED", (tmp_path / "current",))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "used", "total", "free"),
    [
        (None, None, 1_024_000, 614_400),
        ("max", "5", 1_024_000, 614_400),
        ("500000", "100000", 500_000, 400_000),
        ("900000", "800000", 900_000, 100_000),
        ("9999999", "5", 1_024_000, 614_400),
        ("500000", "600000", 500_000, 0),
    ],
)
def test_a_container_has_what_its_limit_leaves(
    files: Path, limit: str | None, used: str | None, total: int, free: int
) -> None:
    for name, text in (("max", limit), ("current", used)):
        if text is not None:
            (files / name).write_text(text + "\n")
    machine = machines.this_machine()
    assert (machine.device, machine.total, machine.free) == ("cpu", total, free)


def test_a_gpu_is_what_training_would_use(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: [(3, 7), (2, 9)][device.index])
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: ["Big One", "Bigger One"][device.index])
    machine = machines.this_machine()
    assert (machine.name, machine.device, machine.total, machine.free) == ("this machine's Big One", "cuda", 7, 3)
    monkeypatch.setenv("LOCAL_RANK", "1")  # of processes that train together each has its own
    machine = machines.this_machine()
    assert (machine.name, machine.total, machine.free) == ("this machine's Bigger One", 9, 2)


def test_cards_of_three_sizes() -> None:
    assert [round(card.total / 2**30) for card in machines.cards()] == [24, 39, 79]


def test_disk_of_a_folder_that_is_still_to_come(tmp_path: Path) -> None:
    assert machines.free_disk(tmp_path / "a" / "b") == pytest.approx(machines.free_disk(tmp_path), rel=0.01)


def test_time_is_tokens_by_rate(workload: Workload) -> None:
    # 64 examples of 9 tokens with padding; 100 tokens of validation are read forwards alone
    plain = estimate_duration(workload, 10.0, "given", checkpointing=False)
    assert (plain.training, plain.validation) == (57.6, 5.0)
    anew = estimate_duration(workload, 10.0, "given", checkpointing=True)
    assert anew.validation == pytest.approx(10 / 3)
