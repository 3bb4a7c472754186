"""Jobs and files in SQLite: the queue between the server and its workers, and all that must survive them.

Every change of a job's state is one statement that names the state, and where a worker makes it the worker, which the
job must have: two that want the same change cannot both have it, and one that was given up can no longer end anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from ondes.errors import UserError
from ondes.studio.database import Database
from ondes.studio.file_table import FileTable
from ondes.studio.tables import (
    FINAL,
    STATES,
    WAITING,
    File,
    Job,
    NotFound,
    QueueFull,
    SubmitKey,
    is_id,
    new_id,
)

__all__ = ["FINAL", "STATES", "WAITING", "File", "Job", "NotFound", "QueueFull", "Store", "new_id"]

MOST_LISTED = 10_000
REMEMBERED_JOBS = 20
"""How many finished jobs say how long one takes."""


class Store(Database):
    """The jobs and files of one studio; every process opens its own.

    Args:
        folder: Where the database is, or will be.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.files = FileTable(self)

    # Jobs, as the server sees them.

    def job(self, job_id: str) -> Job:
        """A job.

        Raises:
            NotFound: If there is none.
        """
        job = None
        if is_id(job_id):
            with self.reading() as session:
                job = session.get(Job, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id[:40]!r}; it may have been forgotten, submit it again")
        return job

    def jobs(self, limit: int = 100, *, client: str | None = None) -> list[Job]:
        """The latest jobs, newest first, at most `MOST_LISTED`; of one client if it is named."""
        query = select(Job).order_by(col(Job.created_at).desc()).limit(min(limit, MOST_LISTED))
        if client is not None:
            query = query.where(col(Job.client) == client)
        with self.reading() as session:
            return list(session.scalars(query))

    def jobs_named(self, ids: Iterable[str]) -> dict[str, Job]:
        """Those of these jobs that there are, by id."""
        with self.reading() as session:
            return {job.id: job for job in session.scalars(select(Job).where(col(Job.id).in_(list(ids))))}

    def submitted(self, key: SubmitKey) -> Job | None:
        """The job that its client called by this key before; None if there is none.

        Raises:
            UserError: If that was another task.
        """
        with self.reading() as session:
            return _submitted(session, key)

    def enqueue(
        self, job: Job, *, limit: int, workers: int, resume: bool, key: SubmitKey | None = None
    ) -> Job:
        """Accept a job.

        Args:
            job: A new one.
            limit: How many may wait.
            workers: How many work on them.
            resume: Whether interrupted jobs wait, too.
            key: What its client calls it.

        Returns:
            The job, or the one that its client called by this key before.

        Raises:
            QueueFull: If `limit` jobs wait already.
            UserError: If the key was given to another task.
        """
        with self.writing() as session:
            if key is not None and (earlier := _submitted(session, key)) is not None:
                return earlier
            waiting = select(func.count()).select_from(Job).where(col(Job.state).in_(_waiting(resume)))
            if session.scalars(waiting).one() >= limit:
                retry_s = _retry_after_s(session, workers)
                raise QueueFull(f"{limit} jobs wait already; try again in {retry_s} s", retry_s)
            session.add(job)
            if key is not None:
                session.add(key)
        return job

    def request_cancel(self, job_id: str) -> None:
        """End a waiting job at once, and ask the worker of a running one to end it."""
        with self.writing() as session:
            waits = (col(Job.id) == job_id) & col(Job.state).in_(WAITING)
            session.execute(update(Job).where(waits).values(**_ended("cancelled", None)))
            runs = (col(Job.id) == job_id) & (col(Job.state) == "running")
            session.execute(update(Job).where(runs).values(cancel_requested=True))

    def requeue(self, job_id: str) -> None:
        """Let an interrupted job wait for a worker again, with all its attempts."""
        stopped = (col(Job.id) == job_id) & (col(Job.state) == "interrupted")
        with self.writing() as session:
            session.execute(update(Job).where(stopped).values(state="queued", attempts=0, error=None))

    def release(self, worker: str | None, sentence: str, *, attempts: int) -> list[Job]:
        """Take the running jobs of a dead worker, or of all, away from it.

        A job that was to be cancelled is; one that was begun `attempts` times fails; others are interrupted.

        Args:
            worker: Which; all of them where None.
            sentence: Why.
            attempts: How often a job may be begun.

        Returns:
            The jobs, as they are now.
        """
        running = select(Job).where(col(Job.state) == "running")
        if worker is not None:
            running = running.where(col(Job.worker) == worker)
        with self.writing() as session:
            jobs = list(session.scalars(running))
            for job in jobs:
                for name, value in _released(job, sentence, attempts).items():
                    setattr(job, name, value)
        return jobs

    def end(self, job_id: str, state: str, error: str | None) -> bool:
        """The server ends a running job itself, because its worker does not.

        Returns:
            Whether it was running still.
        """
        running = (col(Job.id) == job_id) & (col(Job.state) == "running")
        with self.writing() as session:
            return _count(session, update(Job).where(running).values(**_ended(state, error))) == 1

    def abandon(self, before_s: float) -> None:
        """Jobs that were interrupted, and begun before a time, fail if nobody has resumed them since."""
        old = (col(Job.state) == "interrupted") & (col(Job.started_at) < before_s)
        with self.writing() as session:
            session.execute(
                update(Job).where(old).values(**_ended("failed", "it was interrupted, and never resumed"))
            )

    def running(self) -> list[Job]:
        """All running jobs."""
        with self.reading() as session:
            return list(session.scalars(select(Job).where(col(Job.state) == "running")))

    def unfinished(self) -> list[Job]:
        """All jobs that wait or run."""
        with self.reading() as session:
            return list(session.scalars(select(Job).where(col(Job.state).not_in(FINAL))))

    # Jobs, as a worker sees them.

    def claim(self, worker: str, *, resume: bool) -> Job | None:
        """The oldest waiting job, which from now on belongs to this worker; None if none waits.

        Args:
            worker: Who asks.
            resume: Whether interrupted jobs wait, too.
        """
        # A plain read first: an idle worker asks twenty times a second, and must keep nobody from writing.
        oldest = (
            select(col(Job.id))
            .where(col(Job.state).in_(_waiting(resume)))
            .order_by(col(Job.created_at))
            .limit(1)
        )
        with self.reading() as session:
            if session.scalar(oldest) is None:
                return None
        values = {"state": "running", "worker": worker, "started_at": time.time(), "error": None}
        claimed = (
            update(Job)
            .where(col(Job.id) == oldest.scalar_subquery())
            .values(**values, attempts=col(Job.attempts) + 1, eta_s=None)
            .returning(Job)
        )
        with self.writing() as session:
            return session.scalars(claimed).one_or_none()

    def cancel_wanted(self, job_id: str, worker: str) -> bool:
        """Whether a worker should stop: the job is to be cancelled, or no longer its own."""
        own = (col(Job.id) == job_id) & (col(Job.state) == "running") & (col(Job.worker) == worker)
        with self.reading() as session:
            return session.scalar(select(col(Job.cancel_requested)).where(own)) is not False

    def progress(self, job_id: str, worker: str, done: float, total: float, eta_s: float | None) -> bool:
        """Say how far a job is; whether it is still this worker's."""
        return self._of_worker(job_id, worker, {"done": done, "total": total, "eta_s": eta_s})

    def finish(self, job_id: str, worker: str, files: Sequence[File]) -> bool:
        """The job is done and these are its results, both at once or neither.

        Returns:
            Whether the job was still this worker's; if not, nothing has been written.
        """
        own = (col(Job.id) == job_id) & (col(Job.state) == "running") & (col(Job.worker) == worker)
        # A total of no units is not half done.
        values = _ended("done", None) | {"total": func.max(col(Job.total), 1.0), "eta_s": 0.0}
        values["done"] = values["total"]
        with self.writing() as session:
            if _count(session, update(Job).where(own).values(**values)) != 1:
                return False
            session.add_all(files)
        return True

    def give_up(self, job_id: str, worker: str, state: str, error: str | None) -> bool:
        """A worker ends its job as "failed", "cancelled" or, to go on later, "interrupted"."""
        if state != "interrupted":
            return self._of_worker(job_id, worker, _ended(state, error))
        # Who stops in good order has not tried in vain.
        values = {"state": state, "worker": "", "error": error, "attempts": col(Job.attempts) - 1}
        return self._of_worker(job_id, worker, values)

    def _of_worker(self, job_id: str, worker: str, values: dict[str, Any]) -> bool:
        own = (col(Job.id) == job_id) & (col(Job.state) == "running") & (col(Job.worker) == worker)
        with self.writing() as session:
            return _count(session, update(Job).where(own).values(**values)) == 1

    def counts(self) -> dict[str, int]:
        """How many jobs are in each of `STATES`."""
        query = select(col(Job.state), func.count()).group_by(col(Job.state))
        with self.reading() as session:
            return dict.fromkeys(STATES, 0) | {row[0]: int(row[1]) for row in session.execute(query)}


def _submitted(session: Session, key: SubmitKey) -> Job | None:
    """See `Store.submitted`."""
    known = session.get(SubmitKey, (key.client, key.key))
    if known is None:
        return None
    if known.task_sha256 != key.task_sha256:
        raise UserError(
            f"the idempotency key {key.key[:80]!r} was sent before with another task; each task needs its own, "
            "so make a new one"
        )
    return session.get(Job, known.job_id)


def _waiting(resume: bool) -> tuple[str, ...]:
    """States in which a job waits for a worker."""
    return WAITING if resume else ("queued",)


def _count(session: Session, statement: Any) -> int:
    """Execute an update or a deletion; how many rows it met."""
    return session.connection().execute(statement).rowcount


def _ended(state: str, error: str | None) -> dict[str, Any]:
    """What is set in a job that reaches a final state."""
    return {"state": state, "error": error, "finished_at": time.time(), "worker": "", "eta_s": None}


def _released(job: Job, sentence: str, attempts: int) -> dict[str, Any]:
    """What becomes of a running job without a worker."""
    if job.cancel_requested:
        return _ended("cancelled", None)
    if job.attempts >= attempts:
        times = "once" if job.attempts == 1 else f"{job.attempts} times"
        return _ended("failed", f"{sentence}, {times}; ask for less at once, or for another model")
    again = f"{sentence}; it goes on from what was finished"
    return {"state": "interrupted", "worker": "", "error": again, "eta_s": None}


def _retry_after_s(session: Session, workers: int) -> int:
    """How long until a place in the queue is free, by what the last jobs took."""
    took = col(Job.finished_at) - col(Job.started_at)
    last = select(took).where(col(Job.state) == "done").order_by(col(Job.finished_at).desc())
    spans = [float(span) for span in session.scalars(last.limit(REMEMBERED_JOBS)) if span is not None]
    mean_s = sum(spans) / len(spans) if spans else 5.0
    return max(1, min(300, round(mean_s / workers + 0.5)))
