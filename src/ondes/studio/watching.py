"""Who waits for a job to change is told, by one thread that asks the database for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress

from ondes.studio.store import Job, Store

LOOK_S = 0.03
PATIENCE_S = 1.0


class Watch:
    """One who waits for one job; lives in one event loop.

    Args:
        job_id: Of the job.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.job: Job | None = None
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def tell(self, job: Job) -> None:
        """The job has changed; called by another thread."""
        self.job = job
        with suppress(RuntimeError):  # the loop is closed, so nobody waits
            self._loop.call_soon_threadsafe(self._changed.set)

    async def change(self) -> None:
        """Return when the job has changed since the last call, and now and then without."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), PATIENCE_S)
        self._changed.clear()


class Watching:
    """Looks at the database, as long as anybody waits for anything.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._watches: set[Watch] = set()
        self._some = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watching", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; who still waits is told nothing any more."""
        self._stopped.set()
        self._some.set()
        if self._thread.ident is not None:
            self._thread.join()

    async def changes(self, job_id: str) -> AsyncGenerator[Job, None]:
        """The job now and after every change, without end.

        Raises:
            NotFound: If there is none.
        """
        watch = Watch(job_id)
        self._watches.add(watch)
        self._some.set()
        try:
            job = await asyncio.to_thread(self.store.job, job_id)
            yield job
            while not self._stopped.is_set():
                await watch.change()
                if watch.job is not None and watch.job != job:
                    job = watch.job
                    yield job
        finally:
            self._watches.discard(watch)

    def _look(self) -> None:
        """Whenever anything was written, tell everybody about the jobs they wait for."""
        version = -1
        with self.store.engine.connect() as connection:
            while not self._stopped.wait(LOOK_S):
                if not self._watches:
                    self._some.clear()
                    # One may have come between the two lines, or the end.
                    if not self._watches and not self._stopped.is_set():
                        self._some.wait()
                    continue
                now = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
                connection.rollback()
                watches = list(self._watches)
                if now == version and all(watch.job is not None for watch in watches):
                    continue
                version = now
                jobs = self.store.jobs_named({watch.job_id for watch in watches})
                for watch in watches:
                    if watch.job_id in jobs and watch.job != jobs[watch.job_id]:
                        watch.tell(jobs[watch.job_id])
