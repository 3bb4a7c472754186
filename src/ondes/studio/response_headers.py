"""Headers of every answer: what a browser may do with it, and errors that are JSON whoever made them."""

from __future__ import annotations

import http
import json

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ondes.studio.security import Security, refusal

API_PREFIXES = ("/v1", "/healthz", "/metrics", "/openapi.json")
API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Nothing that the API sends is shown as a page of ours, whatever a file holds."""

PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""Gradio writes its settings into the page as a script and makes functions of texts; nothing comes from elsewhere."""

FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def is_api(path: str) -> bool:
    """Whether programs ask for this path, rather than the page."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in API_PREFIXES)


class ResponseHeaders:
    """Sets the headers that keep browsers from doing more with an answer than they should."""

    def __init__(self, app: ASGIApp, security: Security) -> None:
        self.app = app
        ancestors = " ".join(security.framed_by) or "'none'"
        self.page_policy = f"{PAGE_POLICY}; frame-ancestors {ancestors}"
        self.framed = bool(security.framed_by)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = error = False

        async def send_safely(message: Message) -> None:
            nonlocal started, error
            if message["type"] == "http.response.start":
                started = True
                error = _is_plain_error(message)
                message = json_error(message) if error else message
                self.add_headers(scope["path"], message)
                await send(message)
                if error:
                    await send({"type": "http.response.body", "body": json_sentence(message["status"])})
            elif not error:
                await send(message)

        try:
            await self.app(scope, receive, send_safely)
        except Exception:
            # The framework would answer a defect outside of here, where no header is set; it still logs it.
            if not started:
                await refusal(500, SENTENCES[500])(scope, receive, send_safely)
            raise

    def add_headers(self, path: str, start: Message) -> None:
        """Set the headers; a policy that an answer brings along stays."""
        headers = MutableHeaders(raw=start.setdefault("headers", []))
        for name, value in FIXED.items():
            headers[name] = value
        if not self.framed:
            headers["X-Frame-Options"] = "DENY"
        headers.setdefault("Content-Security-Policy", API_POLICY if is_api(path) else self.page_policy)
        if is_api(path):
            headers.setdefault("Cache-Control", "no-store")


def _is_plain_error(start: Message) -> bool:
    """Whether a library refuses in plain text."""
    return start["status"] >= 400 and Headers(raw=start["headers"]).get("content-type", "").startswith(
        "text/plain"
    )


def json_error(start: Message) -> Message:
    """The head of a refusal in JSON, with the other headers as they were."""
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(json_sentence(start["status"])))
    return {**start, "headers": headers.raw}


SENTENCES = {
    400: "the request could not be read; look at its headers and its body",
    416: "the range is not in the file; its size is in Content-Range",
    500: "the server met an error of its own; its log says which",
}


def json_sentence(status: int) -> bytes:
    """What a status means, as the body of a refusal."""
    sentence = SENTENCES.get(status) or f"refused: {http.HTTPStatus(status).phrase.lower()}"
    return json.dumps({"detail": sentence}).encode()
