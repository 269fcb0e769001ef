"""The addresses of the server: a page, and a JSON API beside it."""

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from llara.serving.limits import BodyLimit, Limits, OwnNames, RateLimit, SafeHeaders
from llara.serving.model_thread import ModelThread
from llara.serving.reading import read_question
from llara.serving.refusals import SlowError
from llara.serving.refusing import refuse_errors
from llara.serving.schema import (
    MAX_FOUND,
    MAX_TITLE,
    About,
    Answer,
    FoundTitle,
    FoundTitles,
    Health,
    Question,
    Refused,
)
from llara_core.hybrid.base_llm import name_of

_PAGE = Path(__file__).parent / "page"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refused, "description": meaning}
    for status, meaning in {
        408: "The request came too slowly.",
        413: "The request is too long.",
        422: "It can't be answered, or a title is ambiguous.",
        429: "Too many requests from one address.",
        500: "The server has made a mistake.",
        503: "The model is being loaded, or too many requests wait.",
        504: "The model had no turn in time.",
    }.items()
}


def build_app(model: ModelThread, limits: Limits, hosts: list[str]) -> FastAPI:
    """Build what answers.

    Args:
        model: answers; may still be loading.
        limits: on what is asked.
        hosts: names by which the server may be called; a page elsewhere that had its own name point here would see
            another.
    """
    # FastAPI's own pages of documentation load scripts from a network; openapi.json stays.
    app = FastAPI(title="LLaRA", version=version("llara"), docs_url=None, redoc_url=None, summary=__doc__)
    refuse_errors(app)
    _add_state(app, model)
    _add_questions(app, model, limits.seconds)
    _add_page(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(RateLimit, per_minute=limits.rate)
    app.add_middleware(OwnNames, names=hosts)
    app.add_middleware(SafeHeaders)
    return app


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html")

    app.mount("/page", StaticFiles(directory=_PAGE))


def _add_state(app: FastAPI, model: ModelThread) -> None:
    @app.get("/health", tags=["state"])
    async def health() -> Health:
        """Whether the server lives; 200 also while the model is being loaded."""
        return Health(ready=model.is_ready)

    @app.get("/ready", tags=["state"], responses={503: _REFUSALS[503]})
    async def ready() -> Health:
        """Whether it can answer: 503 while the model is being loaded."""
        _ = model.services
        return Health(ready=True)

    @app.get("/v1/model", tags=["model"], responses=_REFUSALS)
    async def about() -> About:
        """What answers."""
        services = model.services
        service = services["on"]
        manifest = service.tuned.manifest
        return About(
            language_model=name_of(manifest.llm).rsplit("/", 1)[-1],  # of a folder, not where it is
            objective=manifest.objective,
            n_items=len(service.items),
            history_length=service.models.history_length,
            tokens=list(services),
            weight=service.models.weight,
        )


def _add_questions(app: FastAPI, model: ModelThread, seconds: float) -> None:
    @app.get("/v1/titles", tags=["model"], responses=_REFUSALS)
    def titles(
        typed: Annotated[str, Query(max_length=MAX_TITLE, description="What has been typed so far.")],
        limit: Annotated[int, Query(ge=1, le=MAX_FOUND)] = 10,
    ) -> FoundTitles:
        """Titles of the catalogue for what is being typed."""
        found = model.services["on"].titles.search(typed, limit)
        return FoundTitles(titles=[FoundTitle(item_id=item, title=title) for item, title in found])

    @app.post("/v1/recommend", tags=["model"], response_model=Answer, responses=_REFUSALS)
    async def recommend(question: Question) -> JSONResponse:
        """Rank what comes next."""
        services = model.services
        request, notes = await run_in_threadpool(read_question, services, question)
        waiting = asyncio.wrap_future(model.submit(question.tokens, request))
        try:
            answer = await asyncio.wait_for(waiting, seconds)
        except TimeoutError as error:
            raise SlowError(f"there was no answer within {seconds:g} s; ask again in a while") from error
        found = answer.as_json(services["on"].items.titles_by_id)
        return JSONResponse({**found, "notes": [*notes, *found["notes"]]})
