"""Starting two processes that train together on this machine's CPU."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

from tests.conftest import ROOT

_PATIENCE = 240
"""Seconds after which processes of a test are held to wait for each other in vain."""


def run_two_processes(command: list[str], folder: Path = ROOT, **environment: str) -> None:
    """Run a Python command in two processes that find each other as accelerate's launcher would have them do.

    It runs in `folder`, whose code wins. Where one fails, the other is ended, for it may wait for the first.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = os.environ | environment | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    shared |= {"LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with ExitStack() as end:
        written = [end.enter_context(TemporaryFile("w+")) for _ in range(2)]  # not pipes: both are read in one go
        processes = [
            subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *command],
                cwd=folder,
                env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=written[rank],
                stderr=subprocess.STDOUT,
            )
            for rank in range(2)
        ]
        late = time.monotonic() + _PATIENCE
        while not (ended := _ended(processes)) and time.monotonic() < late:
            time.sleep(0.05)
        for process in processes:
            if not ended:
                process.send_signal(signal.SIGABRT)  # Python then says where it stood
            elif process.poll() is None:
                process.kill()
            process.wait()
        codes = [process.returncode for process in processes]
        for file in written:
            file.seek(0)
        said = [f"--- process {rank} ended with {codes[rank]}:\n{written[rank].read()}" for rank in range(2)]
    assert codes == [0, 0], "\n".join(said)


def _ended(processes: list[subprocess.Popen[bytes]]) -> bool:
    """Whether all have ended well, or one badly."""
    codes = [process.poll() for process in processes]
    return all(code == 0 for code in codes) or any(codes)


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
