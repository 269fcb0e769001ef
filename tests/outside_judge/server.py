"""A server that speaks the protocol of chat completions, and misbehaves as told."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

Behaviour = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request: what was asked, and ways of answering it."""

    protocol_version = "HTTP/1.1"
    asked: dict[str, Any]
    number: int

    @property
    def prompt(self) -> str:
        return str(self.asked["messages"][-1]["content"])

    def send(self, status: int, body: bytes | str, **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(data))} | named).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(
        self, status: int, message: str, code: str | None = None, param: str | None = None, **headers: str
    ) -> None:
        error = {"message": message, "type": "error", "param": param, "code": code}
        self.send(status, json.dumps({"error": error}), **headers)

    def answer(self, text: str | None, finish: str = "stop", tokens: tuple[int, int] | None = (50, 5)) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        found = {"id": "1", "object": "chat.completion", "created": 1, "model": "tiny-2026", "choices": [choice]}
        if tokens is not None:
            found["usage"] = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
        self.send(200, json.dumps(found))

    def cut(self) -> None:
        """Promise more than is sent, and hang up."""
        self.send(200, '{"choices": [{"mess', Content_Length="4000")
        self.hang_up()

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Server:
    """What it was asked, in order, and where it is."""

    url: str = ""
    prompts: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """Serve on loopback; each request is answered by `behaviour`, in a thread of its own."""
    server, lock = Server(), Lock()

    class Handler(Request):
        def do_POST(self) -> None:
            self.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                self.number = len(server.prompts)
                server.prompts.append(self.prompt)
                server.bodies.append(self.asked)
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.path != "/v1/chat/completions":
                self.refuse(404, f"no {self.path} here")
                return
            try:
                behaviour(self)
            except OSError:  # the other side has left
                self.close_connection = True

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    listener = Listener(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listener.server_port}/v1"
    thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()


def hang(request: Request) -> None:
    """Say nothing for longer than anybody waits."""
    time.sleep(3)
    request.hang_up()
