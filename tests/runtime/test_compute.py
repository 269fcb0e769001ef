import os
from collections.abc import Iterator

import pytest
import torch

from llara_core.runtime.compute import seed_torch


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
