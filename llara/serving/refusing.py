"""Every error as a status and one JSON document with a sentence, never as a traceback."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from llara.serving.refusals import BusyError, NotReadyError, SlowError
from llara_core.errors import LlaraError, PromptTooLongError, RequestError
from llara_core.recommending.reading import AmbiguousTitleError

_STATUS: dict[type[LlaraError], int] = {
    RequestError: 422,
    AmbiguousTitleError: 422,
    PromptTooLongError: 422,
    BusyError: 503,
    NotReadyError: 503,
    SlowError: 504,
}
_AGAIN = {"retry-after": "5"}
_TOP = "the request"


def refusal(
    status: int, kind: str, message: str, headers: Mapping[str, str] | None = None, **details: Any
) -> JSONResponse:
    """Make the response of an error; halves of characters in what it cites become question marks."""
    message = message.encode("utf-8", "replace").decode("utf-8")
    return JSONResponse({"error": {"type": kind, "message": message, **details}}, status, headers)


def refuse_errors(app: FastAPI) -> None:
    """Have an application answer errors so."""
    app.add_exception_handler(LlaraError, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_schema)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_a_mistake)


async def _of_ours(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, LlaraError):
        raise error
    status = _STATUS.get(type(error), 500)
    headers = _AGAIN if status in (503, 504) else None
    return refusal(status, type(error).__name__, str(error), headers, **error.details)


async def _of_schema(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return refusal(422, "RequestError", sentence(error.errors()[0]))


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    found = {404: "there is nothing at this address", 405: f"this address doesn't take {request.method}"}
    detail = found.get(error.status_code, str(error.detail))
    return refusal(error.status_code, "RequestError", detail, error.headers)


async def _of_a_mistake(_: Request, error: Exception) -> JSONResponse:
    return refusal(500, type(error).__name__, "the server has made a mistake; its log says which")


def sentence(problem: Mapping[str, Any]) -> str:
    """Say what is wrong, of a problem that pydantic has found."""
    place = problem["loc"][1:] if problem["loc"][:1] in (("body",), ("query",)) else problem["loc"]
    if problem["type"] == "json_invalid":
        return f"{_TOP} must be JSON: {problem['ctx']['error']} at character {problem['loc'][-1]}"
    named = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    said = problem["msg"].removeprefix("Value error, ")
    return f"{named or _TOP}: {said[:1].lower()}{said[1:]}"
