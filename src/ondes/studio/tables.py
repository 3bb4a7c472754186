"""The two tables of a studio, and what there is to say when a row is missing or one too many."""

from __future__ import annotations

import time
import uuid

from sqlmodel import Field, SQLModel

from ondes.errors import UserError

WAITING = ("queued", "interrupted")
FINAL = ("done", "failed", "cancelled")
"""States that a job never leaves."""

STATES = ("queued", "running", "done", "failed", "cancelled", "interrupted")


class QueueFull(UserError):  # noqa: N818 - a state of the studio, not a fault
    """No more jobs, or files, are taken at the moment.

    Attributes:
        retry_after_s: Whole seconds after which to try again.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFound(UserError):  # noqa: N818
    """There is no such job, file or example, or it has expired; the message says which."""


def is_id(text: str) -> bool:
    """Whether this can be the id of anything here: no other text reaches the database as one."""
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def new_id() -> str:
    """32 hexadecimal digits that nobody can guess."""
    return uuid.uuid4().hex


class Job(SQLModel, table=True):
    """One task that was asked for.

    Attributes:
        id: 32 hexadecimal digits.
        kind: Name of the task, of `ondes.tasks.TASKS`.
        options: The task as JSON, `kind` included.
        state: "queued", "running", "done", "failed", "cancelled" or "interrupted"; the latter goes on by itself
            where the settings say so.
        created_at: When it was accepted, in seconds since 1970, as all times here.
        started_at: When it was last begun.
        finished_at: When it reached one of `FINAL`.
        done: Work done, in the units of `total`.
        total: All the work; 0 before it is known.
        eta_s: Seconds to go, estimated.
        error: Why it failed, was interrupted or has no files any more; one sentence.
        attempts: How often it was begun.
        cancel_requested: Whether it will end soon.
        client: Who asked, as the server tells callers apart.
        worker: Which worker has it; empty if none.
    """

    id: str = Field(default_factory=new_id, primary_key=True)
    kind: str
    options: str
    state: str = Field(default="queued", index=True)
    created_at: float = Field(default_factory=time.time, index=True)
    started_at: float | None = None
    finished_at: float | None = None
    done: float = 0.0
    total: float = 0.0
    eta_s: float | None = None
    error: str | None = None
    attempts: int = 0
    cancel_requested: bool = False
    client: str = ""
    worker: str = ""

    @property
    def is_final(self) -> bool:
        """Whether nothing about its outcome will change."""
        return self.state in FINAL


class SubmitKey(SQLModel, table=True):
    """What a client called a job when it asked for it, so that the same words, sent again, are no second job.

    A client's keys are its own, and each names one job for as long as that is remembered: the primary key sees to it.

    Attributes:
        client: Who asked, as of the job.
        key: What it said.
        job_id: The job.
        task_sha256: Of the task as it was sent, in hexadecimal.
    """

    client: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    job_id: str = Field(index=True)
    task_sha256: str


class File(SQLModel, table=True):
    """A file that was uploaded or made; on disk it is named by its id.

    Attributes:
        id: 32 hexadecimal digits.
        job_id: The job that made it; none for uploads and examples.
        name: For display and downloads only.
        kind: "score", "audio", "record", "picture", "page" or "archive".
        media_type: As in HTTP.
        bytes: Size.
        sha256: Of its bytes, in hexadecimal.
        duration_s: Length of audio or of a score.
        notes: In a score.
        sample_rate_hz: Of audio.
        channels: Of audio.
        report: What had to be repaired to read it.
        suffix: What its name on disk ends with; chosen by what it holds, never by its name.
        position: Order among the files of a job; 0 is its main result.
        origin: How records call a file that comes with the package, as in "bundled:prelude".
        created_at: When it came to be.
        expires_at: When it goes; never if missing.
        gone: Whether its bytes have been deleted.
    """

    id: str = Field(default_factory=new_id, primary_key=True)
    job_id: str | None = Field(default=None, index=True)
    name: str
    kind: str
    media_type: str
    bytes: int
    sha256: str
    duration_s: float | None = None
    notes: int | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    report: str = ""
    suffix: str = ""
    position: int = 0
    origin: str = ""
    created_at: float = Field(default_factory=time.time)
    expires_at: float | None = Field(default=None, index=True)
    gone: bool = False
