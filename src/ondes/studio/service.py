"""The studio: what the page and the API do is a call of one of these methods."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ondes.studio.settings import StudioSettings
from ondes.studio.store import File, Job, NotFound, QueueFull

if TYPE_CHECKING:
    from ondes.tasks import Task

__all__ = ["File", "Job", "LiveFormat", "ModelInfo", "NotFound", "QueueFull", "Studio"]


@dataclass(frozen=True)
class ModelInfo:
    """A model that jobs may name.

    Attributes:
        name: What a task's `model` says.
        kind: "synthesiser", "composer", "separator" or "audio".
        licence: Of its weights; empty if unknown.
        loaded: Whether a worker holds it in memory.
    """

    name: str
    kind: str
    licence: str
    loaded: bool


@dataclass(frozen=True)
class LiveFormat:
    """What the bytes of `Studio.live` are: 16-bit little-endian samples, channels interleaved."""

    sample_rate_hz: int
    channels: int


class Studio:
    """Jobs, files and workers in one folder.

    All methods but the asynchronous ones may wait for the disk, for SQLite or for a child process: a server calls them
    in threads.

    Args:
        settings: What is allowed, and where all is kept.
    """

    def __init__(self, settings: StudioSettings) -> None:
        self.settings = settings

    def start(self) -> None:
        """Take the folder, mark what was interrupted, and start the workers.

        Raises:
            UserError: If another server has the folder.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Stop the workers, whose jobs are interrupted and go on at the next start, and give the folder back."""
        raise NotImplementedError

    def add_file(self, name: str, source: Path | BinaryIO) -> File:
        """Take a score or audio in.

        Args:
            name: What it is called; of a path only the last part is kept, for display alone.
            source: Its bytes, in a file that is copied or an open binary file, which is read to its end.

        Raises:
            UserError: If it is too large, too long, of no known kind, damaged, or takes too long to read.
            QueueFull: If there is no room for it at the moment.
        """
        raise NotImplementedError

    def example(self, name: str) -> File:
        """A score of the package, "prelude" or "band", as a file that never expires.

        Raises:
            NotFound: If there is none of this name.
        """
        raise NotImplementedError

    def submit(self, task: Task, *, client: str = "") -> Job:
        """Accept a job.

        Args:
            task: What to do; its references are ids of files, or "example:" and the name of a score of the package.
            client: Who asks.

        Raises:
            UserError: If it names a model that is not allowed, a file of the wrong kind, or more than a limit.
            NotFound: If it names a file that there is not, or not any more.
            QueueFull: If too many jobs wait.
        """
        raise NotImplementedError

    def job(self, job_id: str) -> Job:
        """How a job stands.

        Raises:
            NotFound: If there is none.
        """
        raise NotImplementedError

    def jobs(self, limit: int = 100, *, client: str | None = None) -> list[Job]:
        """The latest jobs, newest first; of one client if it is named."""
        raise NotImplementedError

    def file(self, file_id: str) -> tuple[File, Path]:
        """A file, and where its bytes are.

        Args:
            file_id: An id, or "example:" and a name.

        Raises:
            NotFound: If there is none, or it has expired; the message says which.
        """
        raise NotImplementedError

    def files_of(self, job_id: str) -> list[File]:
        """The results of a job, the main one first; a file whose time has passed is `gone`.

        Raises:
            NotFound: If there is no such job.
        """
        raise NotImplementedError

    def cancel(self, job_id: str) -> Job:
        """End a job: at once if it waits, within one evaluation of its network if it runs; a final one stays.

        Raises:
            NotFound: If there is none.
        """
        raise NotImplementedError

    def resume(self, job_id: str) -> Job:
        """Let an interrupted job go on from its last finished segment; one that waits or runs stays as it is.

        Raises:
            NotFound: If there is none.
            UserError: If it has ended; then submit it again.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    def watch(self, job_id: str) -> AsyncIterator[Job]:
        """The job now, and again whenever it changes, until it is final or interrupted for good.

        Raises:
            NotFound: If there is none, when the iteration begins.
        """
        raise NotImplementedError

    async def live_format(self, job_id: str) -> LiveFormat:
        """What `live` gives, as soon as a first block is there.

        Raises:
            NotFound: If there is no such job, or it ends without having streamed.
        """
        raise NotImplementedError

    def live(self, job_id: str) -> AsyncIterator[bytes]:
        """The sound of a job while it is made, from its beginning on, until the job ends; see `LiveFormat`.

        Raises:
            NotFound: If there is none, when the iteration begins.
        """
        raise NotImplementedError

    def models(self) -> list[ModelInfo]:
        """The models that jobs may name."""
        raise NotImplementedError

    def counts(self) -> dict[str, float]:
        """Figures for `/metrics`.

        Returns:
            Jobs by state ("jobs_queued", "jobs_running", ...), "files", "stored_bytes", "workers_alive",
            "worker_restarts" and "queue_limit".
        """
        raise NotImplementedError
