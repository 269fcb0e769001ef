"""For the modules named together_*, which pytest collects only where test_together.py starts them in two processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _leave_in_order() -> Iterator[None]:
    """Threads that listen to the other process would abort this one's end."""
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.fixture
def shared() -> Path:
    """A folder of both processes."""
    return Path(os.environ["LLARA_CHECKPOINT_DIR"])
