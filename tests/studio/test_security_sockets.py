"""What only shows on real sockets: clients that send slowly, too much, or never read."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fake_studio import FakeStudio
from served_app import served
from starlette.types import Receive, Scope, Send

from ondes.errors import UserError
from ondes.studio import body_limits
from ondes.studio.api import create_app
from ondes.studio.security import Security
from ondes.studio.serving import Patience, _TimedConnection, listen
from ondes.tasks import Generate

HEAD_S, IDLE_S = 0.4, 0.3
LATE_S = 6.0
"""How much later something may happen on a machine that does much else; the usual limits are longer than all of it."""


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that has little to say."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture(scope="module")
def hasty_port() -> Iterator[int]:
    """Waits for heads as short as it can be tested."""
    with served(plain, Patience(head_s=HEAD_S)) as port:
        yield port


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> FakeStudio:
    return FakeStudio(tmp_path_factory.mktemp("studio"), upload_bytes=200_000)


@pytest.fixture(scope="module")
def port(studio: FakeStudio) -> Iterator[int]:
    """Waits for bodies as short as it can be tested."""
    with served(create_app(studio, Security(body_idle_s=IDLE_S, body_bytes_per_s=1000))) as port:
        yield port


@pytest.fixture(scope="module")
def patient_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Waits for a body as long as usual and longer, so that a test may take its time to send one."""
    studio = FakeStudio(tmp_path_factory.mktemp("studio"), upload_bytes=200_000)
    with pytest.MonkeyPatch.context() as patch, served(create_app(studio, Security())) as port:
        patch.setattr(body_limits, "LINGER_S", 60.0)
        yield port


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def _until_closed(connection: socket.socket) -> bytes:
    """All that the server still says."""
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def _answer(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and body of an answer after which the server closes."""
    head, _, body = _until_closed(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("trickle", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
def test_a_head_that_never_ends_is_cut_off(hasty_port: int, trickle: bytes) -> None:
    began_s = time.monotonic()
    with _connect(hasty_port) as connection, suppress(ConnectionError):
        connection.sendall(trickle)
        connection.settimeout(0.05)
        while time.monotonic() < began_s + HEAD_S + LATE_S:
            with suppress(TimeoutError):
                assert connection.recv(100) == b""
                break
            if trickle:
                connection.sendall(b"a")  # each byte alone would keep a naive server waiting
    assert HEAD_S * 0.9 <= time.monotonic() - began_s < HEAD_S + LATE_S


HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _ask(connection: socket.socket) -> bytes:
    """A short answer on a connection that is kept; less where it is cut off."""
    said = b""
    with suppress(ConnectionError):
        connection.sendall(HEAD)
        while not said.endswith(b"}") and (piece := connection.recv(65536)):
            said += piece
    return said


def _kept(port: int) -> socket.socket:
    """A connection on which a first answer has come; a busy machine may not begin in time, and then begins again."""
    for _ in range(20):
        connection = _connect(port)
        if _ask(connection).startswith(b"HTTP/1.1 200"):
            return connection
        connection.close()
    raise TimeoutError


def test_a_second_head_that_never_ends_is_cut_off_too(hasty_port: int) -> None:
    with _kept(hasty_port) as connection:
        began_s = time.monotonic()
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert _until_closed(connection) == b""
        assert HEAD_S * 0.9 <= time.monotonic() - began_s < HEAD_S + LATE_S


def test_a_head_that_begins_before_the_last_answer_has_ended_is_cut_off_too() -> None:
    async def lingering(scope: Scope, receive: Receive, send: Send) -> None:
        """Has something to do after its answer."""
        await plain(scope, receive, send)
        await asyncio.sleep(HEAD_S / 2)

    with served(lingering, Patience(head_s=HEAD_S)) as port, _kept(port) as connection:
        began_s = time.monotonic()
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert _until_closed(connection) == b""
        assert time.monotonic() - began_s < HEAD_S + LATE_S


def test_connections_are_kept_between_requests(hasty_port: int) -> None:
    with _kept(hasty_port) as connection:
        for _ in range(5):
            time.sleep(HEAD_S / 4)
            assert _ask(connection).startswith(b"HTTP/1.1 200")


UPLOAD = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"


def test_a_body_that_pauses_is_refused(port: int) -> None:
    with _connect(port) as connection:
        began_s = time.monotonic()
        connection.sendall(UPLOAD + b"Content-Length: 1000\r\n\r\n--b\r\n")
        status, body = _answer(connection)
        assert (status, body["detail"]) == (408, "the body of the request came too slowly; send it again")
        assert IDLE_S * 0.9 <= time.monotonic() - began_s < IDLE_S + LATE_S


def test_a_body_that_trickles_is_refused(port: int) -> None:
    for _ in range(10):
        took_s, said = _trickled(port)
        assert said.startswith(b"HTTP/1.1 408")
        if took_s >= 2 * IDLE_S * 0.9:  # else a busy machine made a pause, which is refused earlier
            break
    assert 2 * IDLE_S * 0.9 <= took_s < 2 * IDLE_S + LATE_S


def _trickled(port: int) -> tuple[float, bytes]:
    """How long a body may come byte for byte, and what the server then says."""
    with _connect(port) as connection:
        began_s = time.monotonic()
        connection.sendall(UPLOAD + b"Content-Length: 1000\r\n\r\n--b\r\nContent-Disposition: ")
        connection.settimeout(IDLE_S / 4)
        said = b""
        while not said and time.monotonic() < began_s + 2 * IDLE_S + LATE_S:
            with suppress(ConnectionError):  # its answer may be there nevertheless
                connection.sendall(b"a")
            with suppress(TimeoutError):
                said = connection.recv(65536)
        return time.monotonic() - began_s, said


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_long_is_refused_while_it_comes(patient_port: int, declared: bool) -> None:
    with _connect(patient_port) as connection:
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mid"\r\n\r\nMThd'
        length = b"Content-Length: 400000" if declared else b"Transfer-Encoding: chunked"
        connection.sendall(UPLOAD + length + b"\r\n\r\n")
        for piece in (form.ljust(10_000, b"x"), *([b"x" * 10_000] * 39)):
            connection.sendall(piece if declared else b"%x\r\n%b\r\n" % (len(piece), piece))
        if not declared:
            connection.sendall(b"0\r\n\r\n")
        status, body = _answer(connection)
        assert status == 413
        assert "larger than the 216384 bytes allowed here" in body["detail"]


@pytest.mark.slow
def test_who_sends_no_body_may_wait_for_longer_than_one_may_take(port: int, studio: FakeStudio) -> None:
    studio.hold = True
    job = studio.submit(Generate())
    studio.hold = False
    with _connect(port) as connection:
        connection.sendall(f"GET /v1/stream/{job.id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(4 * IDLE_S)
        studio.run(job.id)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        studio.finish(job.id)


def test_heads_that_are_too_long_or_wrong_are_refused(port: int) -> None:
    for head in (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ):
        with _connect(port) as connection:
            connection.sendall(head)
            assert _until_closed(connection)[:12] == b"HTTP/1.1 400"


def test_nothing_is_said_about_the_server(port: int) -> None:
    with _connect(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"server:" not in _until_closed(connection).lower()


def test_a_client_that_says_it_is_somebody_else_is_not_believed(tmp_path: Path) -> None:
    security = Security(requests_per_s=0.001, burst=2)
    with served(create_app(FakeStudio(tmp_path), security)) as port:
        statuses = []
        for number in range(3):
            with _connect(port) as connection:
                head = f"Host: localhost\r\nX-Forwarded-For: 10.0.0.{number}\r\nConnection: close"
                connection.sendall(f"GET /v1/models HTTP/1.1\r\n{head}\r\n\r\n".encode())
                statuses.append(int(_until_closed(connection).split()[1]))
        assert statuses == [200, 200, 429]


@pytest.mark.slow
def test_a_client_that_never_reads_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = threading.Event()
    abort = _TimedConnection._abort

    def aborted(connection: _TimedConnection) -> None:
        abort(connection)
        dropped.set()

    monkeypatch.setattr(_TimedConnection, "_abort", aborted)
    studio = FakeStudio(tmp_path, upload_bytes=60_000_000)
    with served(create_app(studio, Security()), Patience(stalled_s=0.3)) as port:
        large = studio._store("a.wav", bytes(50_000_000), kind="audio")
        with _connect(port) as connection:
            connection.sendall(f"GET /v1/files/{large.id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert dropped.wait(60)
            assert len(_until_closed(connection)) < 50_000_000


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=f"cannot listen at 127.0.0.1 port {port}: address already in use"
        ):
            listen("127.0.0.1", port)
