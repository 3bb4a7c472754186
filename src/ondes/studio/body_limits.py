"""Bodies that are too long or come too slowly are refused while they come, not after."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ondes.studio.security import Security, refusal

UPLOAD_PATH = "/v1/files"
FORM_BYTES = 16 * 1024
"""What a multipart form adds to the file in it, at most."""

LINGER_BYTES = 8 * 1024 * 1024
LINGER_S = 2.0
"""How much of a refused body is still read, and for how long: a client that is cut off while it sends never reads
why."""


class BodyLimits:
    """Counts and times the bodies of requests on their way to `app`.

    Args:
        app: What reads the bodies.
        security: Limits of ordinary bodies and the slowest allowed pace.
        upload_bytes: Limit of an uploaded file.
    """

    def __init__(self, app: ASGIApp, security: Security, upload_bytes: int) -> None:
        self.app = app
        self.security = security
        self.upload_bytes = upload_bytes

    def limit_bytes(self, path: str) -> int:
        """How long the body of a request to this path may be."""
        if path == UPLOAD_PATH:
            return self.upload_bytes + FORM_BYTES
        return self.security.json_bytes if path.startswith(("/v1", "/login")) else self.security.page_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one that is refused is answered here, whatever `app` makes of the interruption."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, self.limit_bytes(scope["path"]), self.security)
        # What has no body owes none: an answer may take longer than a body may, and asks meanwhile who still listens.
        body.complete = "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"
        if body.declared_too_long(headers):
            await body.refuse(scope, receive, send)
            return
        started = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal started
            if body.refused is None or started:
                started = True
                await send(message)

        try:
            await self.app(scope, body.receive, send_unless_refused)
        except HTTPException:
            if body.refused is None:
                raise
        if body.refused is not None and not started:
            await body.refuse(scope, receive, send)


class _Body:
    """The body of one request as it comes."""

    def __init__(self, receive: Receive, limit_bytes: int, security: Security) -> None:
        self.source = receive
        self.limit_bytes = limit_bytes
        self.security = security
        self.received_bytes = 0
        self.complete = False
        self.began_s = time.monotonic()
        self.refused: Response | None = None

    def declared_too_long(self, headers: Headers) -> bool:
        """Whether the request says itself that its body is too long."""
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) <= self.limit_bytes:
            return False
        self.refused = _too_long(self.limit_bytes)
        return True

    async def receive(self) -> Message:
        """The next piece.

        Raises:
            HTTPException: If the body is too long or too slow; `refused` then holds the answer.
        """
        if self.complete:
            return await self.source()
        try:
            message = await asyncio.wait_for(self.source(), self.patience_s())
        except TimeoutError:
            self.refused = refusal(
                408, "the body of the request came too slowly; send it again", Connection="close"
            )
            raise HTTPException(408) from None
        self.received_bytes += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self.received_bytes > self.limit_bytes:
            self.refused = _too_long(self.limit_bytes)
            raise HTTPException(413)
        return message

    def patience_s(self) -> float:
        """How long the next piece may take: never longer than a pause, less when the whole is behind its pace."""
        idle_s = self.security.body_idle_s
        due_s = 2 * idle_s + self.received_bytes / self.security.body_bytes_per_s
        return max(0.0, min(idle_s, self.began_s + due_s - time.monotonic()))

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and read on for a little while before the connection closes."""
        answer = self.refused
        assert answer is not None

        async def send_open(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await answer(scope, receive, send_open)
        if answer.status_code == 413 and not self.complete:
            await _drain(receive)
        await send({"type": "http.response.body", "body": b""})


def _too_long(limit_bytes: int) -> Response:
    """The refusal of a body over a limit."""
    return refusal(
        413, f"the body is larger than the {limit_bytes} bytes allowed here; send less", Connection="close"
    )


async def _drain(receive: Receive) -> None:
    """Read and forget what still comes, up to a limit."""
    drained_bytes = 0
    try:
        async with asyncio.timeout(LINGER_S):
            while drained_bytes < LINGER_BYTES:
                message = await receive()
                drained_bytes += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
