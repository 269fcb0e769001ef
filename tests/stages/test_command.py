"""How a stage ends that has worked with other processes."""

from pathlib import Path

from tests.processes import run_two_processes

_STAGE = """
import os
import sys
import torch
from llara_core.runtime.compute import wait_for_all
from stages.command import run

def stage() -> None:
    wait_for_all()

try:
    run(stage)
finally:
    assert not torch.distributed.is_initialized()
    open(sys.argv[0] + os.environ["RANK"], "w").close()
"""


def test_a_stage_leaves_the_others_before_it_ends(tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text(_STAGE)
    for _ in range(3):
        run_two_processes([str(script)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stage.py", "stage.py0", "stage.py1"]
