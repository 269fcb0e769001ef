"""Command serve: a page and a JSON API over the trained model."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llara.serving.refusals import ServeError
from llara_core.params.loading import load_params
from llara_core.params.params import Params

if TYPE_CHECKING:
    from llara.serving.model_thread import Services


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    rate: Annotated[
        int, typer.Option(min=0, help="Requests a minute that one address may send to the API; 0: no limit.")
    ] = 6000,
    waiting: Annotated[int, typer.Option(min=1, help="Requests that may wait for the model; more get 503.")] = 256,
    together: Annotated[int, typer.Option(min=1, help="Waiting requests that the model reads together at most.")] = 8,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="A request that isn't answered by then gets 504.")
    ] = 60.0,
    params_path: Annotated[Path, typer.Option("--params", help="How to ask: its section eval.")] = Path("params.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the URL as JSON once the model is ready.")] = False,
) -> None:
    """Serve the trained model to a browser, and to programs.

    The page finds titles while you type, keeps a history to reorder and remove from, shows the three rankings side by
    side and what each title contributed, with behavioural tokens on, off or shuffled. It loads nothing from a network.

    The API stands beside it: `POST /v1/recommend`, `GET /v1/titles`, `/v1/model`, `/health`, `/ready`, and its schema
    at `/openapi.json`.

    There is no password: whoever reaches the address may ask. SIGTERM and Ctrl-C end it when what is under way has been
    answered.

        llara serve
        llara serve --port 0 --json

    docs/serving.md has the API and its limits.
    """
    params = load_params(params_path)
    try:  # not at the top: --help, and mistakes in options, shouldn't wait for the libraries
        from llara.serving.limits import Limits
        from llara.serving.server import serve_until_stopped
    except ModuleNotFoundError as error:
        raise ServeError(
            f"llara serve needs the package {error.name}: pip install -c constraints.txt -e '.[serve]'"
        ) from error

    def announce(url: str) -> None:
        print(json.dumps({"url": url}) if as_json else f"ready: {url} (Ctrl-C ends it)", flush=True)

    limits = Limits(rate, waiting, together, timeout)
    serve_until_stopped(lambda: load(params), host, port, limits, announce)


def load(params: Params) -> "Services":
    """Load the model, also without its behavioural tokens and with those of other items, if it is shown any."""
    from llara_core.recommending.loading import load_service

    service = load_service(params)
    if service.tuned.mode == "text":
        return {"on": service}
    return {"on": service, "off": service.with_tokens("off"), "shuffled": service.with_tokens("shuffled")}
