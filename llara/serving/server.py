"""From a port to a server that answers until it is told to stop."""

import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from llara.serving.api import build_app
from llara.serving.limits import Limits
from llara.serving.model_thread import ModelThread, Services
from llara.serving.refusals import ServeError

_LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
_STOP_SECONDS = 10  # for answers that are under way
_CONNECTIONS = 500  # fewer than the files that most systems let a process open


def serve_until_stopped(
    load: Callable[[], Services], host: str, port: int, limits: Limits, announce: Callable[[str], object]
) -> None:
    """Serve from the port's being bound until SIGTERM or SIGINT; the model is loaded meanwhile.

    After SIGTERM nothing new is taken, what is under way is answered, and the program ends with status 0.

    Args:
        load: makes the model.
        host: an address of this machine, or a name of one.
        port: 0: any that is free.
        limits: on what is asked.
        announce: is told the server's URL once it is ready.

    Raises:
        ServeError: there is no listening there.
        LlaraError: what `load` raises.
    """
    with closing(bind(host, port)) as bound:
        url = f"http://{name_of(bound)}:{bound.getsockname()[1]}/"
        model = ModelThread(load, waiting=limits.waiting, together=limits.together)
        server = uvicorn.Server(configuration(build_app(model, limits, hosts_of(bound, host))))

        def loaded() -> None:
            try:
                if model.error is None:
                    announce(url)
            except OSError as error:  # stdout is full, or nobody reads it any more
                model.error = error
            server.should_exit = model.error is not None

        signal.signal(signal.SIGTERM, _end_well)  # uvicorn hands the signal on when it has stopped
        model.start(loaded)
        try:
            server.run(sockets=[bound])
        finally:
            if not model.stop(_STOP_SECONDS):
                _leave(130 if isinstance(sys.exception(), KeyboardInterrupt) else 0)
        if model.error is not None:
            raise model.error


def _end_well(*_: object) -> None:
    """End with status 0, also where another signal comes while the interpreter is being taken down."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def bind(host: str, port: int) -> socket.socket:
    """Take a port, before anything slow begins.

    Raises:
        ServeError: it is taken or forbidden, or the address isn't this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ServeError(f"--host must be an address of this machine, got {host}: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(socket.SOMAXCONN)
    except OSError as error:
        bound.close()
        raise ServeError(_why(error, host, port)) from error
    return bound


def _why(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} of {host} is taken: end the program that listens there, or choose another by --port"
        case errno.EACCES:
            return f"port {port} of {host} is for the system's own programs: choose one from 1024 on by --port"
        case errno.EADDRNOTAVAIL:
            return f"--host must be an address of this machine, got {host}"
    return f"port {port} of {host}: {error.strerror}"


def name_of(bound: socket.socket) -> str:
    """The address that a socket listens on, as a URL has it."""
    address: str = bound.getsockname()[0]
    return f"[{address}]" if bound.family == socket.AF_INET6 else address


def hosts_of(bound: socket.socket, host: str) -> list[str]:
    """Names by which a server may be called: its own on the loopback address, or any."""
    return [*_LOOPBACK, name_of(bound), host] if ip_address(bound.getsockname()[0]).is_loopback else ["*"]


def configuration(app: FastAPI) -> uvicorn.Config:
    """How uvicorn runs an application: quietly, on HTTP alone, and with bounds of its own."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,  # or any client could say that it asks from elsewhere
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


def _leave(status: int) -> None:
    """End at once: a thread that is at work in a library would abort the interpreter's orderly end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
