"""Workers are kept alive, and what is too old is thrown away."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from ondes.errors import UserError
from ondes.studio.file_room import FileRoom
from ondes.studio.settings import StudioSettings
from ondes.studio.store import QueueFull, Store, new_id
from ondes.studio.worker import too_long

log = logging.getLogger(__name__)

LOOK_S = 0.1
HUNG_LOOK_S = 1.0
WALL_GRACE_S = 15.0
"""A worker ends a job that takes too long itself; one that has not by then hangs."""

CANCEL_GRACE_S = 30.0
"""The same for a job that is to be cancelled."""

STOP_S = 5.0
"""How long a worker has to end in good order."""

ORPHAN_S = 20.0
"""How long workers of an earlier server, which find out at once that it is gone, may take to end."""

SOON_S = 3.0
"""A worker that lives less than this is begun again only after a while."""

LONGEST_PAUSE_S = 10.0
SWEEP_S = 20.0
REMEMBERED = 30
"""Rows of jobs outlive their files so many times."""

DIED = "the worker died in the middle of the job"
SERVER_DIED = "the studio ended in the middle of the job"


@dataclass
class Slot:
    """A place for one worker.

    Attributes:
        number: Of the slot.
        process: The worker, if there is one.
        token: Who it is in the database.
        begun_s: When, on the monotonic clock.
        pause_s: How long to wait before the next one.
    """

    number: int
    process: subprocess.Popen[bytes] | None = None
    token: str = ""
    begun_s: float = 0.0
    pause_s: float = 0.0


@dataclass
class Supervisor:
    """Begins workers, begins them again when they die, and ends those that hang.

    Attributes:
        settings: How many, and limits.
        store: Where their jobs are.
        command: What begins one.
        restarts: How often one had to be begun again.
    """

    settings: StudioSettings
    store: Store
    command: Sequence[str] = (sys.executable, "-m", "ondes.studio.worker")
    restarts: int = 0
    _slots: list[Slot] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _cancel_seen_s: dict[str, float] = field(default_factory=dict)

    def recover(self) -> None:
        """Wait until the workers of an earlier server have ended, and take their jobs from them.

        Raises:
            UserError: If one of those does not end.
        """
        (self.settings.folder / "workers").mkdir(exist_ok=True)
        _await_orphans(self.settings.folder / "workers")
        self.store.release(None, SERVER_DIED, attempts=self.settings.attempts)

    def start(self) -> None:
        """Begin the workers."""
        self._slots = [Slot(number) for number in range(self.settings.workers)]
        for slot in self._slots:
            self._begin(slot)
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the workers; their jobs are interrupted, and go on at the next start."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        for slot in self._slots:
            if slot.process is not None and slot.process.stdin is not None:
                with suppress(OSError):
                    slot.process.stdin.write(b"stop\n")
                    slot.process.stdin.flush()
        deadline = time.monotonic() + STOP_S
        for slot in self._slots:
            if slot.process is not None:
                with suppress(subprocess.TimeoutExpired):
                    slot.process.wait(max(0.0, deadline - time.monotonic()))
                self._bury(slot, SERVER_DIED)

    def alive(self) -> int:
        """How many workers there are."""
        return sum(slot.process is not None and slot.process.poll() is None for slot in self._slots)

    def loaded(self) -> set[str]:
        """Names of the models that workers hold."""
        names: set[str] = set()
        for slot in self._slots:
            with suppress(OSError, ValueError, KeyError):
                status = self.settings.folder / "workers" / f"{slot.number}.json"
                names.update(json.loads(status.read_text(encoding="utf-8"))["loaded"])
        return names

    def _begin(self, slot: Slot) -> None:
        slot.token, slot.begun_s = new_id(), time.monotonic()
        slot.process = subprocess.Popen(
            [*self.command, str(self.settings.folder), str(slot.number), slot.token],
            stdin=subprocess.PIPE,
            stdout=2,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )

    def _bury(self, slot: Slot, sentence: str) -> None:
        """See a worker off, and take its job from it."""
        assert slot.process is not None
        slot.process.kill()
        slot.process.wait()
        if slot.process.stdin is not None:
            with suppress(OSError):
                slot.process.stdin.close()
        slot.process = None
        for job in self.store.release(slot.token, sentence, attempts=self.settings.attempts):
            log.warning("job %s is %s: %s", job.id, job.state, job.error)

    def _watch(self) -> None:
        looked_s = 0.0
        while not self._stopped.wait(LOOK_S):
            try:
                for slot in self._slots:
                    self._revive(slot)
                if time.monotonic() - looked_s > HUNG_LOOK_S:
                    looked_s = time.monotonic()
                    self._end_hung()
            except Exception:
                # Whatever it was, workers must still be looked after.
                log.exception("the supervisor of workers")

    def _revive(self, slot: Slot) -> None:
        """Begin a worker again if it is dead, at once the first time."""
        if slot.process is not None and slot.process.poll() is not None:
            lived_s = time.monotonic() - slot.begun_s
            log.warning("worker %d ended with status %s", slot.number, slot.process.returncode)
            self._bury(slot, DIED)
            longer_s = min(LONGEST_PAUSE_S, max(0.5, 2 * slot.pause_s))
            slot.pause_s = longer_s if lived_s < SOON_S else 0.0
            self.restarts += 1
        if slot.process is None and time.monotonic() - slot.begun_s >= slot.pause_s:
            self._begin(slot)

    def _end_hung(self) -> None:
        """End jobs whose workers do not listen, and those workers."""
        running, now = self.store.running(), time.time()
        asked = {job.id: self._cancel_seen_s.get(job.id, now) for job in running if job.cancel_requested}
        self._cancel_seen_s = asked
        for job in running:
            too_old = now - (job.started_at or now) > self.settings.wall_s + WALL_GRACE_S
            deaf = now - asked.get(job.id, now) > CANCEL_GRACE_S
            if not too_old and not deaf:
                continue
            error = None if deaf else too_long(self.settings.wall_s)
            self.store.end(job.id, "cancelled" if deaf else "failed", error)
            for slot in self._slots:
                if slot.token == job.worker and slot.process is not None:
                    slot.process.kill()


def _await_orphans(folder: Path) -> None:
    """Wait until no worker of an earlier server is left."""
    for path in folder.glob("*.lock"):
        try:
            with FileLock(path, timeout=ORPHAN_S):
                pass
        except Timeout:
            raise UserError(
                f"a worker of an earlier studio in {folder.parent} does not end; end it, then start again"
            ) from None


@dataclass
class Janitor:
    """Throws away what is too old, or too much.

    Attributes:
        settings: How old and how much that is.
        store: What there is.
        room: Where it is.
    """

    settings: StudioSettings
    store: Store
    room: FileRoom
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="janitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(min(SWEEP_S, self.settings.keep_s)):
            try:
                self.tidy(time.time())
            except Exception:
                # The next round may have more luck, and there must be one.
                log.exception("the janitor")

    def tidy(self, now_s: float) -> None:
        """One round.

        Args:
            now_s: Seconds since 1970.
        """
        unfinished = {job.id: job for job in self.store.unfinished()}
        self.room.delete(self.store.files.expired(now_s, spared=self.room.spared()))
        self.store.files.forget(now_s - REMEMBERED * self.settings.keep_s)
        jobs = self.settings.folder / "jobs"
        for folder in jobs.iterdir() if jobs.is_dir() else ():
            if folder.name not in unfinished and now_s - folder.stat().st_mtime > self.settings.keep_s:
                shutil.rmtree(folder, ignore_errors=True)
        if not self.settings.resume:
            self.store.abandon(now_s - self.settings.keep_s)
        self.room.beside_bytes = _size(jobs) + _size(self.settings.folder / "views")
        with suppress(QueueFull):  # what is left is needed
            self.room.make_room(0)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder and those below it."""
    total = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        with suppress(OSError):
            total += path.stat().st_size
    return total
