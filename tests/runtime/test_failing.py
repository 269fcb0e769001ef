"""Who speaks of a failure; tests/finetuning/test_two_processes.py has it in real processes."""

import os
from datetime import timedelta

import pytest
from torch.distributed import TCPStore

from llara_core.runtime.failing import is_first_to_fail

_SHORT = timedelta(seconds=0.1)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> TCPStore:
    """What torchrun's agent keeps, and tells its processes of."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    known = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    for name, value in {**known, "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}.items():
        monkeypatch.setenv(name, value)
    return store


@pytest.mark.usefixtures("store")
def test_the_first_of_several_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [is_first_to_fail() for _ in range(3)] == [True, False, False]
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert is_first_to_fail()


@pytest.mark.usefixtures("store")
def test_who_is_alone_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert [is_first_to_fail() for _ in range(2)] == [True, True]


@pytest.mark.usefixtures("store")
def test_where_nothing_is_kept_each_speaks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llara_core.runtime.failing._PATIENCE", _SHORT)
    monkeypatch.setenv("MASTER_PORT", "1")
    assert [is_first_to_fail() for _ in range(2)] == [True, True]
    monkeypatch.delitem(os.environ, "TORCHELASTIC_USE_AGENT_STORE")
    monkeypatch.delitem(os.environ, "MASTER_PORT")
    assert [is_first_to_fail() for _ in range(2)] == [True, True]
