"""What only shows on real sockets: clients that send slowly, too much, or never read."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_studio import FakeStudio
from served_app import served

from ondes.errors import UserError
from ondes.studio.api import create_app
from ondes.studio.security import Security
from ondes.studio.serving import Patience, listen
from ondes.tasks import Generate

HEAD_S, IDLE_S = 0.4, 0.3


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> FakeStudio:
    return FakeStudio(tmp_path_factory.mktemp("studio"), upload_bytes=200_000)


@pytest.fixture(scope="module")
def port(studio: FakeStudio) -> Iterator[int]:
    security = Security(body_idle_s=IDLE_S, body_bytes_per_s=1000)
    with served(create_app(studio, security), Patience(head_s=HEAD_S, stalled_s=0.5)) as port:
        yield port


@pytest.fixture(scope="module")
def patient_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Waits for a body as long as usual, so that a test may take its time to send one."""
    studio = FakeStudio(tmp_path_factory.mktemp("studio"), upload_bytes=200_000)
    with served(create_app(studio, Security())) as port:
        yield port


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


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
def test_a_head_that_never_ends_is_cut_off(port: int, trickle: bytes) -> None:
    with _connect(port) as connection:
        began_s = time.monotonic()
        connection.sendall(trickle)
        connection.settimeout(0.05)
        said = None
        while said is None and time.monotonic() < began_s + 5:
            try:
                said = connection.recv(100)
            except TimeoutError:
                if trickle:
                    connection.sendall(b"a")  # each byte alone would keep a naive server waiting
            except ConnectionResetError:
                said = b""
        assert said == b""
        assert HEAD_S * 0.9 <= time.monotonic() - began_s < HEAD_S + 2


def test_a_second_head_that_never_ends_is_cut_off_too(port: int) -> None:
    with _connect(port) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        began_s = time.monotonic()
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        _until_closed(connection)
        assert HEAD_S * 0.9 <= time.monotonic() - began_s < HEAD_S + 2


def test_connections_are_kept_between_requests(port: int) -> None:
    with _connect(port) as connection:
        for _ in range(5):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = b""
            while not said.endswith(b"}"):
                said += connection.recv(65536)
            assert said.startswith(b"HTTP/1.1 200")
            time.sleep(HEAD_S / 4)


UPLOAD = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"


def test_a_body_that_pauses_is_refused(port: int) -> None:
    with _connect(port) as connection:
        began_s = time.monotonic()
        connection.sendall(UPLOAD + b"Content-Length: 1000\r\n\r\n--b\r\n")
        status, body = _answer(connection)
        assert (status, body["detail"]) == (408, "the body of the request came too slowly; send it again")
        assert IDLE_S * 0.9 <= time.monotonic() - began_s < IDLE_S + 2


def test_a_body_that_trickles_is_refused(port: int) -> None:
    with _connect(port) as connection:
        began_s = time.monotonic()
        connection.sendall(UPLOAD + b"Content-Length: 1000\r\n\r\n--b\r\nContent-Disposition: ")
        connection.settimeout(IDLE_S / 4)
        said = b""
        while not said and time.monotonic() < began_s + 5:
            connection.sendall(b"a")
            try:
                said = connection.recv(65536)
            except TimeoutError:
                continue
        assert said.startswith(b"HTTP/1.1 408")
        assert 2 * IDLE_S * 0.9 <= time.monotonic() - began_s < 2 * IDLE_S + 2


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
    security = Security(requests_per_s=0.1, burst=2)
    with served(create_app(FakeStudio(tmp_path), security)) as port:
        statuses = []
        for number in range(3):
            with _connect(port) as connection:
                head = f"Host: localhost\r\nX-Forwarded-For: 10.0.0.{number}\r\nConnection: close"
                connection.sendall(f"GET /v1/models HTTP/1.1\r\n{head}\r\n\r\n".encode())
                statuses.append(int(_until_closed(connection).split()[1]))
        assert statuses == [200, 200, 429]


@pytest.mark.slow
def test_a_client_that_never_reads_is_dropped(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path, upload_bytes=60_000_000)
    with served(create_app(studio, Security()), Patience(stalled_s=0.3)) as port:
        large = studio._store("a.wav", bytes(50_000_000), kind="audio")
        with _connect(port) as connection:
            connection.sendall(f"GET /v1/files/{large.id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            time.sleep(1.5)
            assert len(_until_closed(connection)) < 50_000_000


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=f"cannot listen at 127.0.0.1 port {port}: address already in use"
        ):
            listen("127.0.0.1", port)
