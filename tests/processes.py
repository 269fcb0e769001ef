"""Starting two processes that train together on this machine's CPU."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def run_two_processes(command: list[str], folder: Path = ROOT, **environment: str) -> None:
    """Run a Python command in two processes that find each other as accelerate's launcher would have them do.

    It runs in `folder`, whose code wins.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = os.environ | environment | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    shared |= {"LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=480)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()  # where one hangs, so does the other
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)


def launch(
    kind: str, command: list[str], folder: Path = ROOT, **environment: object
) -> subprocess.CompletedProcess[str]:
    """Run a Python command, in `folder`, in the two processes that accelerate starts by launch/<kind>.yaml."""
    launcher = ["-m", "accelerate.commands.launch", "--config_file", str(ROOT / "launch" / f"{kind}.yaml")]
    launcher += ["--num_processes", "2", "--main_process_port", "0"]
    known = {name: str(value) for name, value in environment.items()}
    return subprocess.run(
        [sys.executable, *launcher, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"} | known,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
