"""Exceptions become answers with a status and one sentence; and what the API's description says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ondes.errors import UserError
from ondes.studio.answers import Problem
from ondes.studio.security import refusal
from ondes.studio.tables import NotFound, QueueFull
from ondes.tasks.kinds import TASKS
from ondes.tasks.task import sentence

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

WORDS = {
    400: "The body cannot be read at all.",
    401: "The token is missing or wrong.",
    403: "A page of another site sent this.",
    404: "There is no such thing, or it has expired.",
    408: "The body came too slowly.",
    409: "The job is in a state that does not allow it.",
    413: "The body is too large.",
    415: "The body is of the wrong media type.",
    416: "The file has no such bytes.",
    421: "The server does not answer to the name in Host.",
    422: "An option or a file cannot be used.",
    429: "Too many requests; ask again after the seconds in Retry-After.",
    503: "The queue is full; ask again after the seconds in Retry-After.",
}
EVERYWHERE = (401, 403, 421, 429)
"""The checks before every request refuse with these."""

_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


def refused_with(*statuses: int, without: tuple[int, ...] = ()) -> dict[int | str, dict[str, Any]]:
    """The refusals of an operation, for its description.

    Args:
        *statuses: Beside those of the checks before every request.
        without: Those of the checks that do not apply.
    """
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, *EVERYWHERE} - {*without}):
        described[status] = {"model": Problem, "description": WORDS[status]}
        if status in (429, 503):
            described[status]["headers"] = _RETRY
    return described


def answer_refusals(app: FastAPI) -> None:
    """Let `app` answer exceptions with `{"detail": "one sentence"}`."""
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


async def _user_error(_request: Request, error: Exception) -> Response:
    """What a person asked for cannot be had."""
    if isinstance(error, QueueFull):
        return refusal(503, str(error), retry_after_s=error.retry_after_s)
    return refusal(404 if isinstance(error, NotFound) else 422, str(error))


async def _http_error(request: Request, error: Exception) -> Response:
    """What the web framework refuses."""
    assert isinstance(error, HTTPException)
    sentences = {
        400: "the body cannot be read; look at its form and its encoding",
        404: f"there is nothing at {request.url.path[:80]}; /openapi.json lists what there is",
        405: f"{request.method} does nothing at {request.url.path[:80]}; /openapi.json lists what does",
    }
    default = sentences.get(error.status_code)
    words = default if default and error.detail in _PHRASES else str(error.detail)
    response = refusal(error.status_code, words)
    response.headers.update(error.headers or {})
    return response


_PHRASES = ("Not Found", "Method Not Allowed", "There was an error parsing the body")


async def _validation_error(request: Request, error: Exception) -> Response:
    """An option is missing, unknown or out of bounds."""
    assert isinstance(error, RequestValidationError)
    errors = [{**one, "loc": _place(one["loc"])} for one in error.errors()]
    return refusal(422, sentence(errors, TASKS.get(request.url.path.removeprefix("/v1/"))))


def _place(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Where an option is, without the words of the framework for where it came from."""
    return tuple(part for part in parts if part not in ("query", "path", "header"))
