"""The studio: what the page and the API do is a call of one of these methods."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from ondes.errors import UserError
from ondes.pipelines.bundled import bundled_models
from ondes.studio.file_room import FileRoom, Readable
from ondes.studio.limits import check_limits, check_models
from ondes.studio.live import LOOK_S, LiveFormat, follow, live_format
from ondes.studio.settings import StudioSettings
from ondes.studio.store import FINAL, File, Job, NotFound, QueueFull, Store
from ondes.studio.supervision import Janitor, Supervisor
from ondes.studio.tables import SubmitKey
from ondes.studio.watching import Watching
from ondes.studio.worker import job_folder

if TYPE_CHECKING:
    from ondes.tasks import Task

__all__ = ["File", "Job", "LiveFormat", "ModelInfo", "NotFound", "QueueFull", "Studio"]

STATE_LOOKS = 10
"""How often to look for a first block before the database is asked whether there will be one."""


@dataclass(frozen=True)
class ModelInfo:
    """A model that jobs may name.

    Attributes:
        name: What a task's `model` says.
        kind: "synthesiser", "composer", "separator", "audio" or "vocoder".
        licence: Of its weights; empty if unknown.
        loaded: Whether a worker holds it in memory.
    """

    name: str
    kind: str
    licence: str
    loaded: bool


class Studio:
    """Jobs, files and workers in one folder.

    All methods but the asynchronous ones may wait for the disk, for SQLite or for a child process: a server calls them
    in threads.

    Args:
        settings: What is allowed, and where all is kept.
    """

    def __init__(self, settings: StudioSettings) -> None:
        self.settings = settings
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store = Store(settings.folder)
        self.room = FileRoom(settings, self.store)
        self.supervisor = Supervisor(settings, self.store)
        self.janitor = Janitor(settings, self.store, self.room)
        self.watching = Watching(self.store)
        self._lock = FileLock(settings.folder / "server.lock")

    def start(self) -> None:
        """Take the folder, mark what was interrupted, and start the workers.

        Raises:
            UserError: If another server has the folder.
        """
        self._take_folder()
        try:
            self.settings.write()
            self.store.create()
            self.supervisor.recover()
            self.room.sweep()
            self.room.readers.warm()
            self.supervisor.start()
            self.janitor.start()
            self.watching.start()
        except BaseException:
            self._lock.release()
            raise

    def stop(self) -> None:
        """Stop the workers, whose jobs are interrupted and go on at the next start, and give the folder back."""
        self.watching.stop()
        self.janitor.stop()
        self.supervisor.stop()
        self.room.close()
        self.store.close()
        self._lock.release()

    def _take_folder(self) -> None:
        """Be the only server that uses it."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"another server uses {self.settings.folder}; stop it, or give this one another folder"
            ) from None

    def add_file(self, name: str, source: Path | Readable) -> File:
        """Take a score or audio in.

        Args:
            name: What it is called; of a path only the last part is kept, for display alone.
            source: Its bytes, in a file that is copied or an open binary file, which is read to its end.

        Raises:
            UserError: If it is too large, too long, of no known kind, damaged, or takes too long to read.
            QueueFull: If there is no room for it at the moment.
        """
        return self.room.add(name, source)

    def example(self, name: str) -> File:
        """A file of the package, as the score "prelude" or the sound "prelude-played", which never expires.

        Raises:
            NotFound: If there is none of this name.
        """
        return self.room.example(name)

    def submit(self, task: Task, *, client: str = "", key: str | None = None) -> Job:
        """Accept a job.

        Args:
            task: What to do; its references are ids of files, or "example:" and the name of one.
            client: Who asks.
            key: What the client calls this job. Said again, it gets the job as it stands, whatever has become of the
                queue and of the inputs since.

        Raises:
            UserError: If it names a model that is not allowed, a file of the wrong kind, or more than a limit; or
                the client gave the key to another task.
            NotFound: If it names a file that there is not, or not any more.
            QueueFull: If too many jobs wait.
        """
        called = None if key is None else _called(task, client, key)
        if called is not None and (earlier := self.store.submitted(called)) is not None:
            return earlier
        check_models(task, self._allowed_models())
        files: dict[str, File] = {}
        for field, reference in task.references().items():
            file, _ = self.room.find(reference.reference)
            if file.kind != reference.kind:
                raise UserError(f"{field} is {file.name}, which is no {reference.kind}; give another file")
            files[field] = file
        check_limits(task, files, self.settings)
        ids = {field: file.id for field, file in files.items()}
        # Nothing that a job needs goes while it waits.
        self.store.files.keep_until(list(ids.values()), time.time() + self.settings.keep_s)
        options = task.model_copy(update=ids).model_dump_json()
        job = Job(kind=task.kind, options=options, client=client)
        if called is not None:
            called.job_id = job.id
        settings = self.settings
        return self.store.enqueue(
            job,
            limit=settings.queue_limit,
            workers=settings.workers,
            resume=settings.resume,
            key=called,
        )

    def job(self, job_id: str) -> Job:
        """How a job stands.

        Raises:
            NotFound: If there is none.
        """
        return self.store.job(job_id)

    def jobs(self, limit: int = 100, *, client: str | None = None) -> list[Job]:
        """The latest jobs, newest first; of one client if it is named."""
        return self.store.jobs(limit, client=client)

    def file(self, file_id: str) -> tuple[File, Path]:
        """A file, and where its bytes are.

        Args:
            file_id: An id, or "example:" and a name.

        Raises:
            NotFound: If there is none, or it has expired; the message says which.
        """
        return self.room.find(file_id)

    def files_of(self, job_id: str) -> list[File]:
        """The results of a job, the main one first; a file whose time has passed is `gone`.

        Raises:
            NotFound: If there is no such job.
        """
        self.store.job(job_id)
        return self.store.files.of_job(job_id)

    def cancel(self, job_id: str) -> Job:
        """End a job: at once if it waits, within one evaluation of its network if it runs; a final one stays.

        Raises:
            NotFound: If there is none.
        """
        self.store.request_cancel(job_id)
        return self.store.job(job_id)

    def resume(self, job_id: str) -> Job:
        """Let an interrupted job go on from its last finished segment; one that waits or runs stays as it is.

        Raises:
            NotFound: If there is none.
            UserError: If it has ended; then submit it again.
        """
        job = self.store.job(job_id)
        if job.is_final:
            raise UserError(f"this job is {job.state} and cannot go on; submit it again")
        self.store.requeue(job_id)
        return self.store.job(job_id)

    def view(self, file_id: str, what: str) -> tuple[Path, str]:
        """Something to see or hear of a file, made in a child process and kept.

        Args:
            file_id: As for `file`.
            what: "notes" or "roll.png" of a score; "peaks", "mel.png", "flac" or "wav" of audio.

        Returns:
            Where it is, and its media type.

        Raises:
            NotFound: If there is no such file.
            UserError: If the file has no such view, or it takes too long or too much memory.
        """
        return self.room.view(file_id, what)

    async def watch(self, job_id: str) -> AsyncGenerator[Job, None]:
        """The job now, and again whenever it changes, until it is final or interrupted for good.

        Raises:
            NotFound: If there is none, when the iteration begins.
        """
        async with aclosing(self.watching.changes(job_id)) as changes:
            async for job in changes:
                yield job
                if self._rests(job):
                    return

    async def live_format(self, job_id: str) -> LiveFormat:
        """What `live` gives, as soon as a first block is there.

        Raises:
            NotFound: If there is no such job, or it ends without having streamed.
        """
        folder = job_folder(self.settings.folder, job_id)
        while True:
            ended = self._rests(await asyncio.to_thread(self.store.job, job_id))
            for _ in range(STATE_LOOKS):
                found = live_format(folder)
                if found is not None:
                    return found
                if ended:
                    raise NotFound(f"job {job_id} streams no sound; it has files, or says why not")
                await asyncio.sleep(LOOK_S)

    async def live(self, job_id: str) -> AsyncGenerator[bytes, None]:
        """The sound of a job while it is made, from its beginning on, until the job ends; see `LiveFormat`.

        Raises:
            NotFound: If there is none, when the iteration begins.
        """
        await asyncio.to_thread(self.store.job, job_id)
        over = asyncio.ensure_future(self._over(job_id))
        try:
            async with aclosing(follow(job_folder(self.settings.folder, job_id), over.done)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            over.cancel()
            with suppress(asyncio.CancelledError, NotFound):
                await over

    async def _over(self, job_id: str) -> None:
        """Return when a job has ended."""
        async with aclosing(self.watch(job_id)) as changes:
            async for _ in changes:
                pass

    def _rests(self, job: Job) -> bool:
        """Whether a job will not change any more by itself."""
        return job.state in FINAL or (job.state == "interrupted" and not self.settings.resume)

    def models(self) -> list[ModelInfo]:
        """The models that jobs may name."""
        allowed, loaded = self._allowed_models(), self.supervisor.loaded()
        bundled = {model.name: model for model in bundled_models()}
        return [
            ModelInfo(name, bundled[name].kind, str(bundled[name].card.get("licence", "")), name in loaded)
            if name in bundled
            else ModelInfo(name, "", "", name in loaded)
            for name in allowed
        ]

    def _allowed_models(self) -> list[str]:
        return list(self.settings.models) or [model.name for model in bundled_models()]

    def counts(self) -> dict[str, float]:
        """Figures for `/metrics`.

        Returns:
            Jobs by state ("jobs_queued", "jobs_running", ...), "files", "stored_bytes", "workers_alive",
            "worker_restarts" and "queue_limit".
        """
        jobs = {f"jobs_{state}": count for state, count in self.store.counts().items()}
        workers = {"workers_alive": self.supervisor.alive(), "worker_restarts": self.supervisor.restarts}
        limits = {"queue_limit": self.settings.queue_limit}
        return {name: float(n) for name, n in (jobs | self.store.files.counts() | workers | limits).items()}


def _called(task: Task, client: str, key: str) -> SubmitKey:
    """What a client calls a task, which is no job yet."""
    told = hashlib.sha256(task.model_dump_json().encode()).hexdigest()
    return SubmitKey(client=client, key=key, job_id="", task_sha256=told)
