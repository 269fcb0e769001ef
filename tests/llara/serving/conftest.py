"""Servers in threads of this process, over the tiny model or over what stands in for one."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Thread
from typing import Any

import pytest
import requests
import uvicorn

from llara.serving.api import build_app
from llara.serving.limits import Limits
from llara.serving.model_thread import ModelThread, Services
from llara.serving.server import bind, configuration, hosts_of, name_of
from llara_core.recommending.service import RecommendationService
from tests.recommending.conftest import repository_of, service_of

__all__ = ["repository_of", "service_of"]

LIMITS = Limits(rate=0, waiting=64, together=4, seconds=20.0)


@dataclass(frozen=True)
class Served:
    url: str
    model: ModelThread

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=20, **options)

    def ask(self, body: Any, **options: Any) -> requests.Response:
        return requests.post(self.url + "v1/recommend", json=body, timeout=20, **options)


Serve = Callable[..., Served]


@pytest.fixture(scope="session")
def services(service_of: Callable[[str], RecommendationService]) -> Services:
    service = service_of("stream")
    return {"on": service, "off": service.with_tokens("off"), "shuffled": service.with_tokens("shuffled")}


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Servers by what loads their model; they end with the module's tests."""
    with ExitStack() as stack:

        def start(
            load: Callable[[], Services], limits: Limits = LIMITS, *, wait: bool = True, host: str = "127.0.0.1"
        ) -> Served:
            bound = stack.enter_context(bind(host, 0))
            model = ModelThread(load, waiting=limits.waiting, together=limits.together)
            server = uvicorn.Server(configuration(build_app(model, limits, hosts_of(bound, host))))
            thread = Thread(target=server.run, args=([bound],), daemon=True)
            thread.start()
            model.start()
            stack.callback(thread.join, 10)
            stack.callback(setattr, server, "should_exit", True)
            deadline = time.monotonic() + 10
            while not (server.started and (model.is_ready or not wait)) and time.monotonic() < deadline:
                time.sleep(0.01)
            return Served(f"http://{name_of(bound)}:{bound.getsockname()[1]}/", model)

        yield start


@pytest.fixture(scope="module")
def served(serve: Serve, services: Services) -> Served:
    return serve(lambda: services)
