"""A client of the studio's API: `with Client("http://127.0.0.1:8000") as studio: job = studio.run(task)`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import TypeAdapter

from ondes.errors import UserError
from ondes.files import written_whole
from ondes.studio.answers import FileInfo, JobInfo, ModelAnswer
from ondes.tasks.task import Task

if TYPE_CHECKING:
    from ondes.audio import Audio

BUSY = (429, 503)
"""Statuses that mean: not now."""

RECONNECT_S = 0.5
RETRY_S = (0.25, 0.5, 1.0)
"""Pauses before a request whose connection broke is sent again."""

WAV_HEADER_BYTES = 44


class StudioError(UserError):
    """The server refused, or cannot be reached; the message is its sentence.

    Attributes:
        status: The HTTP status; 0 if there was no answer.
    """

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class Client:
    """Speaks to one studio. Where it is busy (429, 503) it asks again after the seconds the server says.

    A request whose connection breaks is sent again, up to three times; only an upload is not, unless none was made.

    Args:
        base_url: Where it is, as `http://127.0.0.1:8000`.
        token: The token it was started with, if any.
        patience_s: How long to ask a busy server again, or one that does not answer while a job is followed.
        transport: Replaces the network; for tests.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        patience_s: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        timeout = httpx.Timeout(60.0, connect=10.0)
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, transport=transport)
        self.patience_s = patience_s

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def upload(self, path: str | Path) -> FileInfo:
        """Send a score or audio.

        Raises:
            StudioError: If the server refuses it.
            OSError: If it cannot be read.
        """
        path = Path(path)
        with path.open("rb") as file:

            def send() -> httpx.Response:
                file.seek(0)
                return self._http.post("/v1/files", files={"file": (path.name, file)})

            answer = self._patiently(send, broken=httpx.ConnectError)
            return FileInfo.model_validate(answer.json())

    def submit(self, task: Task, *, key: str | None = None) -> JobInfo:
        """Ask for a task and come back at once.

        Where the connection breaks it asks again under the same key, so that there is one job however often it asks.

        Args:
            task: As of `run`.
            key: A name for this job; a program that begins again and says it again gets the same job. A random one
                if missing.
        """
        body = task.model_dump(mode="json", exclude={"kind"})
        headers = {"Idempotency-Key": f'"{key or uuid.uuid4()}"'}
        return self._job(lambda: self._http.post(f"/v1/{task.kind}", json=body, headers=headers))

    def run(self, task: Task, *, progress: Callable[[JobInfo], None] = lambda _: None) -> JobInfo:
        """Ask for a task and wait for its end.

        Args:
            task: Its references are ids of uploaded files, or "example:prelude".
            progress: Told how the job stands, whenever that changes.

        Returns:
            The job with its files, the main result first.

        Raises:
            StudioError: If it is refused, fails or is cancelled.
        """
        return self.wait(self.submit(task), progress=progress)

    def wait(self, job: JobInfo | str, *, progress: Callable[[JobInfo], None] = lambda _: None) -> JobInfo:
        """Follow a job to its end; arguments and errors as in `run`."""
        last: JobInfo | None = None
        for last in self.events(job):
            progress(last)
        if last is None or not last.is_final:
            last = self.job(job)
        if last.state != "done":
            raise StudioError(last.error or f"job {last.id} is {last.state}; submit or resume it")
        return last

    def job(self, job: JobInfo | str) -> JobInfo:
        """How a job stands now."""
        return JobInfo.model_validate(self._get(f"/v1/jobs/{_id(job)}").json())

    def jobs(self, limit: int = 100) -> list[JobInfo]:
        """The latest jobs, newest first, without their files."""
        return TypeAdapter(list[JobInfo]).validate_python(self._get("/v1/jobs", limit=limit).json())

    def events(self, job: JobInfo | str) -> Iterator[JobInfo]:
        """The job now and whenever it changes, until it is final; goes on where the connection breaks.

        Ends early where nothing happens for `patience_s` after the server has ended the events.

        Raises:
            StudioError: If there is no such job, or no server for `patience_s`.
        """
        seen: str | None = None
        until_s: float | None = None
        while True:
            lost: httpx.TransportError | None = None
            try:
                for current, info in self._events_once(_id(job), seen):
                    seen, until_s = current, None
                    yield info
                    if info.is_final:
                        return
            except httpx.TransportError as error:
                lost = error
            # The server stopped, or the job was interrupted: both may go on.
            until_s = until_s or time.monotonic() + self.patience_s
            if time.monotonic() > until_s:
                if lost is not None:
                    raise _unreachable(self._http.base_url, lost)
                return
            time.sleep(RECONNECT_S)

    def cancel(self, job: JobInfo | str) -> JobInfo:
        """End a job; a final one stays as it is."""
        return self._job(lambda: self._http.delete(f"/v1/jobs/{_id(job)}"))

    def resume(self, job: JobInfo | str) -> JobInfo:
        """Let an interrupted job go on."""
        return self._job(lambda: self._http.post(f"/v1/jobs/{_id(job)}/resume"))

    def models(self) -> list[ModelAnswer]:
        """The models that tasks may name."""
        return TypeAdapter(list[ModelAnswer]).validate_python(self._get("/v1/models").json())

    def download(self, file: FileInfo | str, path: str | Path) -> Path:
        """Fetch a file; it appears whole or not at all.

        Args:
            file: What to fetch.
            path: Where to; in a folder it has its own name.

        Returns:
            Where it is.
        """
        path = Path(path)
        if path.is_dir():
            named = (
                file
                if isinstance(file, FileInfo)
                else FileInfo.model_validate(self._get(f"/v1/files/{file}/info").json())
            )
            path /= Path(named.name).name
        with (
            self._answered(f"/v1/files/{_id(file)}") as response,
            written_whole(path) as neighbour,
            neighbour.open("wb") as sink,
        ):
            for piece in response.iter_bytes():
                sink.write(piece)
        return path

    def read(self, file: FileInfo | str, view: str | None = None) -> bytes:
        """The bytes of a file, or of a view of it as "notes" or "mel.png"."""
        return self._get(f"/v1/files/{_id(file)}{f'/{view}' if view else ''}").content

    def stream(self, job: JobInfo | str) -> Iterator[Audio]:
        """The sound of a job in blocks from its beginning on, each as soon as it is made.

        Raises:
            StudioError: If the job makes no sound.
        """
        import numpy as np  # noqa: PLC0415

        from ondes.audio import Audio  # noqa: PLC0415

        with self._answered(f"/v1/stream/{_id(job)}?format=pcm") as response:
            rate_hz, channels = (
                int(response.headers[f"X-{name}"]) for name in ("Sample-Rate-Hz", "Channels")
            )
            rest = b""
            for piece in response.iter_bytes():
                whole = len(rest + piece) // (2 * channels) * (2 * channels)
                frames, rest = (rest + piece)[:whole], (rest + piece)[whole:]
                if frames:
                    samples = np.frombuffer(frames, "<i2").reshape(-1, channels).T.astype(np.float32) / 32767
                    yield Audio(samples, rate_hz)

    def _get(self, path: str, **query: int) -> httpx.Response:
        return self._patiently(lambda: self._http.get(path, params=query or None))

    def _job(self, send: Callable[[], httpx.Response]) -> JobInfo:
        return JobInfo.model_validate(self._patiently(send).json())

    def _patiently(
        self,
        send: Callable[[], httpx.Response],
        *,
        broken: type[httpx.TransportError] = httpx.TransportError,
    ) -> httpx.Response:
        """The answer to a request, which is sent again while the server is busy, and after errors of a kind."""
        until_s = time.monotonic() + self.patience_s
        pauses_s = iter(RETRY_S)
        while True:
            try:
                response = send()
            except httpx.TransportError as error:
                pause_s = next(pauses_s, None) if isinstance(error, broken) else None
                if pause_s is None:
                    raise _unreachable(self._http.base_url, error) from None
                time.sleep(pause_s)
                continue
            wait_s = _wait_s(response)
            if response.status_code not in BUSY or time.monotonic() + wait_s > until_s:
                return _checked(response)
            time.sleep(wait_s)

    @contextmanager
    def _answered(self, path: str) -> Iterator[httpx.Response]:
        """An answer that is read as it comes."""
        try:
            with self._http.stream("GET", path, timeout=httpx.Timeout(None, connect=10.0)) as response:
                if response.is_error:
                    response.read()
                yield _checked(response)
        except httpx.TransportError as error:
            raise _unreachable(self._http.base_url, error) from None

    def _events_once(self, job_id: str, seen: str | None) -> Iterator[tuple[str | None, JobInfo]]:
        """The events of one connection, with their ids."""
        headers = {"Accept": "text/event-stream"} | ({} if seen is None else {"Last-Event-ID": seen})
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
            if response.is_error:
                response.read()
            for fields in _parsed(_checked(response).iter_lines()):
                if "data" in fields:
                    yield fields.get("id"), JobInfo.model_validate_json(fields["data"])


def _parsed(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The fields of each server-sent event; comments keep the connection alive and say nothing."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


def _id(named: Any) -> str:
    """The id of a job or a file."""
    return named if isinstance(named, str) else named.id


def _wait_s(response: httpx.Response) -> float:
    """How long a busy server asks to be left alone."""
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 1.0


def _checked(response: httpx.Response) -> httpx.Response:
    """An answer that is no refusal.

    Raises:
        StudioError: If it is one, with the server's sentence.
    """
    if not response.is_error:
        return response
    try:
        sentence = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        sentence = (
            f"the server at {response.url.host} answered {response.status_code}; is it a studio of ondes?"
        )
    raise StudioError(sentence, response.status_code)


def _unreachable(url: httpx.URL, error: httpx.TransportError) -> StudioError:
    """What to say of a server that does not answer."""
    return StudioError(
        f"no answer from {url}: {str(error) or type(error).__name__}; is 'ondes serve' running there?"
    )
