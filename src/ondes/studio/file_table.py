"""The rows of files: what there is, whose it is, and when it goes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlmodel import col

from ondes.studio.database import Database
from ondes.studio.tables import FINAL, File, Job, NotFound, SubmitKey, is_id

EXPIRED = "its files have expired and are deleted; run it again"


class FileTable:
    """All files of a studio, uploads and results.

    Args:
        database: Where the rows are.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def get(self, file_id: str) -> File:
        """A file that is still there.

        Raises:
            NotFound: If there is none, or it has expired.
        """
        file = self.found(file_id)
        if file is None:
            raise NotFound(f"there is no file {file_id[:40]!r}; upload it first")
        if file.gone or (file.expires_at is not None and file.expires_at < time.time()):
            what = "upload it again" if file.job_id is None else "run its job again"
            raise NotFound(f"{file.name} has expired and is deleted; {what}")
        return file

    def found(self, file_id: str) -> File | None:
        """A file, expired or not; None if there never was one, or it is forgotten."""
        if not is_id(file_id):
            return None
        with self.database.reading() as session:
            return session.get(File, file_id)

    def add(self, file: File) -> None:
        """A new file, or one that is there anew."""
        with self.database.writing() as session:
            session.merge(file)

    def of_job(self, job_id: str) -> list[File]:
        """The results of a job, the main one first; those that are gone are among them."""
        query = select(File).where(col(File.job_id) == job_id).order_by(col(File.position))
        with self.database.reading() as session:
            return list(session.scalars(query))

    def keep_until(self, ids: Collection[str], time_s: float) -> None:
        """Let these files expire no earlier than this."""
        sooner = col(File.id).in_(ids) & (col(File.expires_at) < time_s)
        with self.database.writing() as session:
            session.execute(update(File).where(sooner).values(expires_at=time_s))

    def expired(self, now_s: float, *, spared: Collection[str]) -> list[File]:
        """Files whose time has come and whose bytes are still there, without those to spare."""
        over = col(File.gone).is_(False) & (col(File.expires_at) < now_s)
        with self.database.reading() as session:
            return [file for file in session.scalars(select(File).where(over)) if file.id not in spared]

    def oldest(self, *, spared: Collection[str]) -> list[File]:
        """All files that may go before their time, the oldest first."""
        there = col(File.gone).is_(False) & col(File.expires_at).is_not(None)
        query = select(File).where(there).order_by(col(File.created_at))
        with self.database.reading() as session:
            return [file for file in session.scalars(query) if file.id not in spared]

    def mark_gone(self, ids: Iterable[str]) -> None:
        """The bytes of these files are deleted; their jobs say so."""
        these = col(File.id).in_(list(ids))
        makers = select(col(File.job_id)).where(these)
        theirs = col(Job.id).in_(makers) & (col(Job.state) == "done")
        with self.database.writing() as session:
            session.execute(update(File).where(these).values(gone=True))
            session.execute(update(Job).where(theirs).values(error=EXPIRED))

    def stored_bytes(self) -> int:
        """Size of all files that are there."""
        query = select(func.coalesce(func.sum(col(File.bytes)), 0)).where(col(File.gone).is_(False))
        with self.database.reading() as session:
            return int(session.scalars(query).one())

    def counts(self) -> dict[str, int]:
        """How many files there are, and their size in bytes."""
        query = select(func.count()).select_from(File).where(col(File.gone).is_(False))
        with self.database.reading() as session:
            number = int(session.scalars(query).one())
        return {"files": number, "stored_bytes": self.stored_bytes()}

    def present_ids(self) -> set[str]:
        """Ids of all files that are there."""
        with self.database.reading() as session:
            return set(session.scalars(select(col(File.id)).where(col(File.gone).is_(False))))

    def forget(self, before_s: float) -> list[str]:
        """Delete the rows of jobs that ended before a time, of their keys and files, and of uploads that are gone.

        Returns:
            Ids of the jobs.
        """
        old = col(Job.state).in_(FINAL) & (col(Job.finished_at) < before_s)
        gone = col(File.gone).is_(True) & (col(File.created_at) < before_s)
        with self.database.writing() as session:
            jobs = list(session.scalars(select(col(Job.id)).where(old)))
            theirs: Any = col(File.job_id).in_(jobs) & col(File.gone).is_(True)
            session.execute(delete(File).where(gone | theirs))
            session.execute(delete(SubmitKey).where(col(SubmitKey.job_id).in_(jobs)))
            session.execute(delete(Job).where(col(Job.id).in_(jobs)))
        return jobs
