"""The page behind a server: its assets, Gradio's files, and nothing else of Gradio's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastapi.staticfiles import StaticFiles
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

from ondes.pipelines.bundled import bundled_models
from ondes.studio.page import ASSETS, ASSETS_PATH, build_page, head, theme

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ondes.studio.service import Studio

OPEN = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/")
OPEN_EXACTLY = ("/", "/config", "/config/", "/theme.css", "/favicon.ico", "/gradio_api/startup-events")
"""What a browser reads to show the page. Uploads, files and queues are not among it: nothing here uses them."""


class Assets(StaticFiles):
    """Our scripts and styles, which a browser asks about anew each time, so that none is older than its server."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """See `StaticFiles`."""
        response = super().file_response(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        response.headers["Cache-Control"] = "no-cache"
        return response


class ReadOnly:
    """Lets requests through to Gradio that show the page; all others find nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not _shows(scope["method"], scope["path"]):
            await PlainTextResponse("there is nothing here", 404)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _shows(method: str, path: str) -> bool:
    """Whether a request does no more than show the page."""
    plain = ".." not in path and (path in OPEN_EXACTLY or path.startswith(OPEN))
    return method in ("GET", "HEAD") and plain


def mount(app: FastAPI, studio: Studio) -> None:
    """Put the page at `/` of the server that has the studio's API."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr  # noqa: PLC0415

    models: dict[str, list[str]] = {}
    for model in studio.models():
        models.setdefault(model.kind, []).append(model.name)
    models.setdefault("vocoder", [model.name for model in bundled_models() if model.kind == "vocoder"])
    app.mount(ASSETS_PATH, Assets(directory=ASSETS), name="assets")
    gr.mount_gradio_app(
        app,
        build_page(models),
        path="/",
        theme=theme(),
        head=head(),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        show_error=True,
    )
    page = app.routes[-1]
    assert isinstance(page, Mount)
    page.app = ReadOnly(page.app)
