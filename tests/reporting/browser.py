"""Opening a page in Debian's headless Chromium, which can reach this machine's own server and nothing else."""

import functools
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NO_CHROMIUM = "no chromium on this machine: `apt-get install chromium`"
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # tests may run as root, whom its sandbox refuses
    "--disable-gpu",
    "--hide-scrollbars",  # a phone's lie over the page
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
    "--dump-dom",
)


@dataclass(frozen=True)
class Opened:
    """What came of opening a page.

    Attributes:
        dom: the page as it stands afterwards.
        requests: paths that were asked of the server, in order; what else was asked for fails, and says so.
        said: lines of the console.
    """

    dom: str
    requests: list[str]
    said: list[str]


def chromium() -> str | None:
    """Path of the browser, where there is one."""
    return shutil.which("chromium")


def open_page(folder: Path, name: str, profile: Path, *options: str) -> Opened:
    """Serve a folder to the browser alone, and open a file of it."""
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/{name}"
        command = [str(chromium()), *_OPTIONS, f"--user-data-dir={profile}", *options, address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    finally:
        server.shutdown()
        server.server_close()
    said = [line for line in done.stderr.splitlines() if re.search(r":CONSOLE[:(]", line)]
    return Opened(done.stdout, requests, said)
