import gzip
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

import pytest
import requests

from llara_core.errors import SourceError
from llara_core.sourcing import http
from llara_core.sourcing.http import download

PACKED = gzip.compress(b"{'username': 'ann'}\n" * 50)
Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], str]]:
    """Return a function that starts a server on loopback, which answers as told, and returns its address."""
    servers = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(http, "_PAUSE_SECONDS", 0)
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _send(handler: BaseHTTPRequestHandler, body: bytes, **headers: str) -> None:
    handler.send_response(200)
    for name, value in ({"Content_Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def test_a_packed_file_comes_as_the_bytes_that_the_server_sent(serve: Callable[[Answer], str], tmp_path: Path) -> None:
    accepted = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        accepted.append(handler.headers["Accept-Encoding"])
        _send(handler, PACKED, Content_Encoding="gzip", Content_Type="application/json")

    download(serve(answer) + "/steam.json.gz", tmp_path / "file", most_bytes=1000)
    assert (tmp_path / "file").read_bytes() == PACKED
    assert accepted == ["identity"]


def test_chunks_of_unknown_number_are_joined(serve: Callable[[Answer], str], tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    download(serve(answer) + "/x.zip", tmp_path / "file", most_bytes=5)
    assert (tmp_path / "file").read_bytes() == b"abcde"


def test_what_is_packed_on_the_way_is_refused(serve: Callable[[Answer], str], tmp_path: Path) -> None:
    address = serve(lambda handler: _send(handler, PACKED, Content_Encoding="gzip")) + "/ml.zip"
    with pytest.raises(SourceError, match=r"/ml.zip: must be sent as it is, got Content-Encoding gzip"):
        download(address, tmp_path / "file", most_bytes=1000)


@pytest.mark.parametrize("length", [str(2**40), "none of your business"])
def test_more_than_the_limit_is_not_read(serve: Callable[[Answer], str], tmp_path: Path, length: str) -> None:
    sent = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", length)
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(bytes(1 << 20))
                sent.append(1)
        except OSError:
            pass

    with pytest.raises(SourceError, match=r"/big.zip: must have at most 3000000 bytes, got "):
        download(serve(answer) + "/big.zip", tmp_path / "file", most_bytes=3_000_000)
    assert len(sent) < 100
    assert (tmp_path / "file").stat().st_size <= 3_000_000


def test_a_cut_connection_is_tried_again(serve: Callable[[Answer], str], tmp_path: Path) -> None:
    bodies = [b"ab", b"abc", b"abcde"]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _send(handler, bodies.pop(0), Content_Length="5")

    address = serve(answer) + "/x.zip"
    download(address, tmp_path / "file", most_bytes=5)
    assert (tmp_path / "file").read_bytes() == b"abcde"
    bodies += [b"", b"a", b"ab"]
    with pytest.raises(SourceError, match=r"/x.zip: .*\(3 attempts\)"):
        download(address, tmp_path / "file", most_bytes=5)
    assert not bodies


def test_a_refusal_is_final(serve: Callable[[Answer], str], tmp_path: Path) -> None:
    asked = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.send_error(404)

    with pytest.raises(SourceError, match="404"):
        download(serve(answer) + "/x.zip", tmp_path / "file", most_bytes=5)
    assert asked == ["/x.zip"]


@pytest.mark.parametrize("hops", [["http"], ["https", "http", "https"], ["http", "https"]])
def test_a_secure_address_may_not_lead_to_an_open_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hops: list[str]
) -> None:
    class Response(requests.Response):
        def __enter__(self) -> Self:
            *before, last = (f"{scheme}://example.org/x.zip" for scheme in hops)
            self.status_code, self.url = 200, last
            for url in before:
                self.history.append(requests.Response())
                self.history[-1].url = url
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            pass

    monkeypatch.setattr(requests, "get", lambda *_, **__: Response())
    with pytest.raises(SourceError, match=r"must stay with https, was led to http://example.org/x.zip"):
        download("https://example.org/x.zip", tmp_path / "file", most_bytes=5)
