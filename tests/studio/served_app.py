"""An app behind a real socket of the loopback, in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from ondes.studio.serving import Patience, Server


@contextmanager
def served(app: ASGIApp, patience: Patience | None = None) -> Iterator[int]:
    """The port at which the app answers until the block ends."""
    ready = threading.Event()
    server = Server(app, host="127.0.0.1", port=0, patience=patience, ready=ready.set)
    thread = threading.Thread(target=server.answer)
    thread.start()
    try:
        assert ready.wait(30)
        yield server.port
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
