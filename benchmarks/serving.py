"""`llara serve` under load on loopback: errors, growth of memory, and how long clients wait beside one client alone.

Needs what `make repro` leaves behind. Each client sends its next request when it has the answer to the last: histories
of test users, as long as the model reads, and a search as it is typed before every fourth.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from typing import Annotated
from urllib.parse import urlsplit

import numpy as np
import psutil
import typer

from llara_core.params.loading import load_params
from llara_core.runtime.paths import PROCESSED
from llara_core.tables.processed import read_processed

_MIB = 1 << 20
_SETTLED = 1 / 3  # of the time, after which memory must not grow any more
_SEARCH = "/v1/titles?typed=star%20w"
_GRACE = 90.0  # seconds in which a client's last answer must come


@dataclass
class Measured:
    """What clients saw: seconds by kind of request, errors in words.

    Of the server: memory as (seconds, bytes), and seconds of processor time.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"recommend": [], "titles": []})
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    processor: float = 0.0

    def quantile(self, kind: str, share: float) -> float:
        """Milliseconds within which a share of the requests of a kind was answered."""
        return 1000 * float(np.quantile(self.seconds[kind], share))

    @property
    def growth(self) -> int:
        """Bytes by which the largest memory of the last third exceeds that of the middle one."""
        end = self.memory[-1][0]
        middle = [size for at, size in self.memory if end * _SETTLED <= at < 2 * end * _SETTLED]
        return max(size for at, size in self.memory if at >= 2 * end * _SETTLED) - max(middle)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `llara serve` in a folder on a free port; give the process and its URL once it is ready."""
    command = [sys.executable, "-m", "llara", "serve", "--port", "0", "--json", *options]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None  # noqa: S101
            line = process.stdout.readline()
            if not line:
                raise SystemExit(process.wait())
            yield process, json.loads(line)["url"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_GRACE)


def load(url: str, pid: int, histories: Sequence[list[int]], clients: int, seconds: float, *, why: bool) -> Measured:
    """Ask from several threads for some seconds; their last answers are waited for."""
    measured, start = Measured(), time.perf_counter()

    def client(number: int) -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=_GRACE)
        turn = number
        while time.perf_counter() - start < seconds:
            turn += 1
            if not turn % 4:
                _time(measured, "titles", connection, "GET", _SEARCH)
            body = json.dumps({"history": histories[turn % len(histories)], "why": why})
            _time(measured, "recommend", connection, "POST", "/v1/recommend", body)
        connection.close()

    threads = [Thread(target=client, args=(7 * number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    server = psutil.Process(pid)
    before = sum(server.cpu_times()[:2])
    while any(thread.is_alive() for thread in threads):
        measured.memory.append((time.perf_counter() - start, server.memory_info().rss))
        time.sleep(0.1)
    measured.processor = sum(server.cpu_times()[:2]) - before
    return measured


def _time(
    measured: Measured, kind: str, connection: HTTPConnection, method: str, path: str, body: str | None = None
) -> None:
    start = time.perf_counter()
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        content = response.read()
    except (OSError, HTTPException) as error:
        measured.errors.append(f"{kind}: {type(error).__name__}: {error}")
        connection.close()
        return
    if response.status != 200:
        measured.errors.append(f"{kind}: {response.status}: {content.decode()}")
    measured.seconds[kind].append(time.perf_counter() - start)


def main(
    clients: Annotated[int, typer.Option(min=2, help="That ask at once.")] = 50,
    seconds: Annotated[float, typer.Option(min=3, help="For so long; one client alone for a sixth of it.")] = 60.0,
    why: Annotated[bool, typer.Option(help="Ask also what each title contributed, as the page does.")] = True,
) -> None:
    """Print latencies, errors and memory; end with status 1 if there was an error."""
    tables = read_processed(PROCESSED)
    length = load_params(Path("params.yaml")).split.history_length
    rows = tables.sequences.rows_of("test")
    histories = [tables.sequences.items_of(row)[-length:].tolist() for row in rows]
    with serving(Path()) as (process, url):
        load(url, process.pid, histories, clients, seconds / 12, why=why)  # memory and caches settle
        alone = load(url, process.pid, histories, 1, seconds / 6, why=why)
        many = load(url, process.pid, histories, clients, seconds, why=why)
    for name, found in (("1 client", alone), (f"{clients} clients", many)):
        part = found.processor / found.memory[-1][0]
        each = 1000 * found.processor / len(found.seconds["recommend"])
        print(f"{name}: {part:.2f} of a core, {each:.0f} ms of it an answer")
        for kind in ("recommend", "titles"):
            middle, high = found.quantile(kind, 0.5), found.quantile(kind, 0.95)
            print(f"{name}: {len(found.seconds[kind])} × {kind}, median {middle:.0f} ms, p95 {high:.0f} ms")
    sizes = [size for _, size in many.memory]
    print(f"memory: {sizes[0] / _MIB:.0f} MiB before, {sizes[-1] / _MIB:.0f} after, growth {many.growth / _MIB:.1f}")
    errors = alone.errors + many.errors
    print(f"errors: {len(errors)}; SIGTERM ended the server with status {process.returncode}", *errors[:3], sep="\n")
    if errors or process.returncode:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
