"""What only several processes can get wrong: one session of pytest in each of two, and what they have left."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from llara_core.params.params import Params
from tests.processes import run_two_processes
from tests.two_processes.together_pretraining import SHARED, pretrained

MODULES = sorted(Path(__file__).parent.glob("together_*.py"))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that two processes have worked in, all of whose own tests have passed."""
    folder = tmp_path_factory.mktemp("together")
    run_two_processes(["-m", "pytest", "-x", *map(str, MODULES)], LLARA_CHECKPOINT_DIR=str(folder))
    return folder


@pytest.mark.parametrize(("kind", "loss"), SHARED)
def test_two_processes_that_share_the_batches_give_the_same_weights(
    together: Path, params: Params, tmp_path: Path, kind: str, loss: str
) -> None:
    expected = pretrained(params, tmp_path, kind, loss)
    found = load_file(together / f"{kind}.safetensors")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, atol=1e-5), name
