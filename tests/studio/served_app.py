"""An app behind a real socket of the loopback, in a thread of this process."""

from __future__ import annotations

import random
import socket
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
        assert ready.wait(120)
        yield server.port
    finally:
        server.should_exit = True
        thread.join(120)
        assert not thread.is_alive()


def free_port() -> int:
    """A port for a program that must be told one.

    It is below those that systems choose themselves (from 32768 on Linux) and above those of Ray's own workers, so that
    hardly anybody takes it before that program does.
    """
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(20_000, 32_000)
        with socket.socket() as trying:
            try:
                trying.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
