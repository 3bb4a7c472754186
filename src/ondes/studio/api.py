"""The API: a studio over HTTP, behind the checks of `ondes.studio.security`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

import ondes
from ondes.studio.answers import Health, ModelAnswer
from ondes.studio.api_files import file_routes
from ondes.studio.api_jobs import job_routes
from ondes.studio.body_limits import UPLOAD_PATH, BodyLimits
from ondes.studio.login import login_routes
from ondes.studio.metrics import CONTENT_TYPE, Latency, Metrics
from ondes.studio.refusals import answer_refusals, refused_with
from ondes.studio.response_headers import ResponseHeaders
from ondes.studio.security import COOKIE, HEALTH_PATH, Gate, Security, checks, refusal
from ondes.tasks.kinds import TASKS

if TYPE_CHECKING:
    from ondes.studio.service import Studio

DESCRIPTION = (
    "Compose, separate, synthesise and edit music with diffusion models. Upload files, send a task that names them, "
    'follow its job, fetch the results. Every refusal is `{"detail": "one sentence"}`.'
)


def create_app(studio: Studio, security: Security) -> FastAPI:
    """A studio over HTTP; it starts and stops with the app.

    Args:
        studio: What does the work; not started yet.
        security: Who is answered.
    """
    metrics = Metrics(studio)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(studio.start)
        try:
            await run_in_threadpool(metrics.begin)
            yield
        finally:
            await run_in_threadpool(studio.stop)

    app = FastAPI(
        title="ondes",
        version=ondes.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # both pages would load scripts from elsewhere
        redoc_url=None,
    )
    answer_refusals(app)
    known = _shown_in_description(security)
    for routes in (job_routes(studio), file_routes(studio), _state_routes(studio, metrics)):
        app.include_router(routes, dependencies=known)
    app.include_router(_health_routes())
    if security.token is not None:
        app.include_router(login_routes(security))
    # The one added last is the first to see a request.
    app.add_middleware(BodyLimits, security=security, upload_bytes=studio.settings.upload_bytes)
    app.add_middleware(Gate, checks=[*checks(security), known_media_type])
    app.add_middleware(ResponseHeaders, security=security)
    app.add_middleware(Latency, metrics=metrics)
    return app


def _shown_in_description(security: Security) -> list[Any]:
    """How callers show the token, for the description alone: the checks before every request do the asking."""
    if security.token is None:
        return []
    bearer = HTTPBearer(auto_error=False, description="The token of --token.")
    cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="What /login sets.")
    return [Depends(bearer), Depends(cookie)]


def _state_routes(studio: Studio, metrics: Metrics) -> APIRouter:
    """What the server says of itself."""
    router = APIRouter(tags=["server"])

    @router.get("/v1/models", response_model=list[ModelAnswer], responses=refused_with())
    async def models() -> list[ModelAnswer]:
        """The models that tasks may name."""
        return [ModelAnswer.model_validate(model) for model in await run_in_threadpool(studio.models)]

    @router.get(
        "/metrics",
        responses={200: {"content": {"text/plain": {}}}, **refused_with()},
        response_class=Response,
    )
    async def figures() -> Response:
        """Figures for Prometheus."""
        return Response(await run_in_threadpool(metrics.text), media_type=CONTENT_TYPE)

    return router


def _health_routes() -> APIRouter:
    """The sign of life: asks no thread and no database, so it comes at once however busy they are."""
    router = APIRouter(tags=["server"])

    @router.get(HEALTH_PATH, response_model=Health, responses=refused_with(without=(401, 429)))
    async def healthz() -> Health:
        """The server is alive; needs no token."""
        return Health(status="ok", version=ondes.__version__)

    return router


def known_media_type(request: HTTPConnection) -> Response | None:
    """Refuse bodies that are no JSON, or for uploads no form, before anything reads them."""
    path = request.url.path
    if request.scope["method"] != "POST" or (path != UPLOAD_PATH and path.removeprefix("/v1/") not in TASKS):
        return None
    wanted = "multipart/form-data" if path == UPLOAD_PATH else "application/json"
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given == wanted:
        return None
    return refusal(415, f"the body is {given[:80] or 'of no media type'}; {path} takes {wanted}")
