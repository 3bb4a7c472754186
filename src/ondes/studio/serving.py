"""An app on an address, with time limits on every part of a connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ondes.errors import UserError

HEADER_BYTES = 16 * 1024
CONNECTIONS = 512
"""More at once are answered 503."""


@dataclass(frozen=True)
class Patience:
    """How long a server waits for its clients, in seconds.

    Attributes:
        head_s: For the whole head of a request, from the connection or the end of the last request on.
        idle_s: For the next request on a connection.
        stalled_s: For a client to read on; a paused player stops reading for long.
        stop_s: For answers to end when the server stops.
    """

    head_s: float = 10.0
    idle_s: int = 5
    stalled_s: float = 600.0
    stop_s: int = 3


_connection: ContextVar[_TimedConnection | None] = ContextVar("_connection", default=None)
"""Whose request is being answered: uvicorn answers each in a task made while it takes its bytes."""


class _TimedConnection(H11Protocol):
    """uvicorn's protocol, which by itself waits for a head and for a reader for ever."""

    patience = Patience()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._answering = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come; its head is due."""
        super().connection_made(transport)
        self._transport = transport
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: of a head, unless a request is being answered."""
        if not self._answering and self._head_timer is None:
            self._await_head()
        token = _connection.set(self)
        try:
            super().data_received(data)
        finally:
            _connection.reset(token)

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = asyncio.get_running_loop().call_later(self.patience.stalled_s, self._abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def begin_answer(self) -> None:
        """The head is complete."""
        self._answering += 1
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def end_answer(self) -> None:
        """The answer is complete, and the next head may come, or has begun to before we were told so."""
        self._answering -= 1
        if not self._answering and self._head_timer is None and self.conn.trailing_data[0]:
            self._await_head()

    def _await_head(self) -> None:
        self._head_timer = asyncio.get_running_loop().call_later(self.patience.head_s, self._abort)

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()

    def _abort(self) -> None:
        """Drop the connection, whatever it still holds: a polite end would wait for the client again."""
        if self._transport is not None:
            self._transport.abort()


class _Marked:
    """Tells a connection when its request is being answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = _connection.get()
        if connection is None or scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        connection.begin_answer()
        try:
            await self.app(scope, receive, send)
        finally:
            connection.end_answer()


class Server(uvicorn.Server):
    """An app at an address that it has already: others find the port taken.

    Args:
        app: What answers.
        host: Address to listen at.
        port: Of the address; 0 takes a free one.
        patience: How long to wait for clients.
        ready: Called when the first request can be answered.

    Attributes:
        port: The one it listens at.

    Raises:
        UserError: If the address cannot be had.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        patience: Patience | None = None,
        ready: Callable[[], None] | None = None,
    ) -> None:
        self._listening = listen(host, port)
        self.port: int = self._listening.getsockname()[1]
        self._ready = ready
        patience = patience or Patience()
        config = uvicorn.Config(
            _Marked(app),
            http=type("_Connection", (_TimedConnection,), {"patience": patience}),
            loop="asyncio",  # the same everywhere, whatever else is installed
            ws="none",
            lifespan="on",
            proxy_headers=False,  # else a client could say who it is
            server_header=False,
            access_log=False,
            log_config=None,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=HEADER_BYTES,
            timeout_keep_alive=patience.idle_s,
            timeout_graceful_shutdown=patience.stop_s,
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready()

    def answer(self) -> None:
        """Answer requests until SIGINT or SIGTERM, or until `should_exit` is set from another thread."""
        with self._listening:
            self.run(sockets=[self._listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        UserError: If the address is not this machine's, or the port is taken or reserved.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot listen at {host} port {port}: {str(reason).lower()}; give another --port or --host"
        ) from None
