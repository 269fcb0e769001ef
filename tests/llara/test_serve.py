"""The command: how it starts and ends, and the server of its own process under a little load."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Timer

import pytest

from benchmarks.serving import load, serving
from llara.serving.server import bind
from llara_core.runtime.paths import ADAPTER
from tests.conftest import ROOT
from tests.llara.conftest import Run
from tests.recommending.tiny import LISTS


@pytest.fixture
def run(llara: Run) -> Run:
    return partial(llara, "serve")


def test_no_model_yet(run: Run, root: Path) -> None:
    shutil.rmtree(root / ADAPTER)
    line = f"error: {ADAPTER}/llara.json: no such file; run `dvc repro finetune`\n"
    assert run("--port", "0") == (1, "", line)


def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(run: Run, root: Path) -> None:
    shutil.rmtree(root / ADAPTER)
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        line = f"port {port} of 127.0.0.1 is taken: end the program that listens there, or choose another by --port"
        assert run("--port", str(port)) == (1, "", f"error: {line}\n")
        status, out, _ = run("--port", str(port), "--json")
    assert (status, json.loads(out)["error"]) == (1, {"type": "ServeError", "message": line})


def test_an_address_of_another_machine(run: Run) -> None:
    status, _, err = run("--host", "192.0.2.1", "--port", "0")  # reserved for documentation (RFC 5737)
    assert (status, err) == (1, "error: --host must be an address of this machine, got 192.0.2.1\n")


def test_without_the_extra_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("llara.serving.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    status, _, err = run("--port", "0")
    assert status == 1
    assert err == "error: llara serve needs the package uvicorn: pip install -c constraints.txt -e '.[serve]'\n"


def test_a_url_that_can_not_be_told_ends_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "llara", "serve", "--port", "0", "--json"]
        done = subprocess.run(
            command, cwd=root, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: writing an artifact: No space left on device"


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_it_listens_where_it_was_told_alone(host: str, family: int) -> None:
    if family == socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with bind(host, 0) as bound:
        assert (bound.family, bound.getsockname()[0]) == (family, host)


def test_many_clients_see_no_error_and_sigterm_lets_them_have_their_answers(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    histories = [items[:3] for items in LISTS]
    with serving(root) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        load(url, process.pid, histories, 8, 0.5, why=True)
        found = load(url, process.pid, histories, 8, 2.0, why=True)
        assert not found.errors
        assert len(found.seconds["recommend"]) >= 8
        assert found.growth < 16 << 20
        Timer(0.5, process.send_signal, [signal.SIGTERM]).start()
        last = load(url, process.pid, histories, 8, 1.0, why=True)
    assert process.returncode == 0
    assert last.seconds["recommend"]
    # Whoever asked before has an answer; whoever comes after finds the door shut, by a word or by the system's.
    refused = ("ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected", "503: ", "BrokenPipe")
    assert all(any(word in error for word in refused) for error in last.errors)
