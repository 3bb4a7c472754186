"""What runs the jobs: a process that takes one after another from the database.

`python -m ondes.studio.worker FOLDER SLOT TOKEN` is begun by the server, to which its standard input leads: the line
"stop" there ends it in good order, and the end of that input, when the server is no more, at once.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from ondes.errors import UserError
from ondes.files import file_sha256, written_whole
from ondes.studio.file_room import described, path_of
from ondes.studio.inspection import Description, describe_audio, describe_score
from ondes.studio.live import LiveWriter
from ondes.studio.media import MEDIA_TYPES
from ondes.studio.settings import StudioSettings
from ondes.studio.store import File, Job, Store
from ondes.tasks.bench import Cancelled, Workbench
from ondes.tasks.shelf import ModelShelf

if TYPE_CHECKING:
    from ondes.tasks.task import Made, Outcome, Source, Task

log = logging.getLogger(__name__)

POLL_S = 0.04
"""How often an idle worker looks for a job, and a busy one whether it is to stop."""

PROGRESS_S = 0.2
"""Least time between two notes of progress."""

NICENESS = 5
"""The server answers first."""

STOPPED = "the studio was stopped; the job goes on from what was finished"
EXIT_ORPHANED = 3


class Pulse:
    """The thread beside a job that tells the database how far it is, and finds out whether it is to stop.

    The thread of the job itself never waits for the database.

    Args:
        store: The database.
        job: What is run.
        wall_s: Longest that it may take.
        stopping: Set when the worker is to end.
    """

    def __init__(self, store: Store, job: Job, wall_s: float, stopping: threading.Event) -> None:
        self.store, self.job, self.wall_s, self.stopping = store, job, wall_s, stopping
        self.reason: str | None = None
        self._end_s = time.monotonic() + wall_s
        self._progress: tuple[float, float] | None = None
        self._first: tuple[float, float] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def progress(self, done: float, total: float) -> None:
        """Take note of how far the job is."""
        self._first = self._first or (time.monotonic(), done)
        self._progress = (done, total)

    def cancelled(self) -> bool:
        """Whether the job is to stop; `reason` says why."""
        return self.reason is not None

    def _beat(self) -> None:
        told, told_s = None, 0.0
        while not self._over.wait(POLL_S):
            try:
                self.reason = self.reason or self._stop_reason()
                now = time.monotonic()
                if self._progress is not None and self._progress != told and now - told_s >= PROGRESS_S:
                    told, told_s = self._progress, now
                    self.store.progress(self.job.id, self.job.worker, *told, self._eta_s(now, *told))
            except Exception:
                # The database may be busy for long; the next beat asks again.
                log.exception("the pulse of job %s", self.job.id)

    def _stop_reason(self) -> str | None:
        if self.stopping.is_set():
            return "stopped"
        if time.monotonic() > self._end_s:
            return "time"
        return "cancelled" if self.store.cancel_wanted(self.job.id, self.job.worker) else None

    def _eta_s(self, now: float, done: float, total: float) -> float | None:
        """Seconds to go, if all goes on as since the first word of progress."""
        assert self._first is not None
        since_s, before = self._first
        return (now - since_s) / (done - before) * (total - done) if done > before else None


@dataclass
class Worker:
    """Runs jobs.

    Attributes:
        settings: Limits, and the folder.
        store: Where jobs are.
        name: Who it is in the database.
        shelf: Its models.
        read_task: Makes a task of the options of a job.
    """

    settings: StudioSettings
    store: Store
    name: str
    shelf: ModelShelf
    read_task: Callable[[str], Task]

    def run(self, stopping: threading.Event, *, finished: Callable[[], None] = lambda: None) -> None:
        """Take one job after another until told to stop.

        Args:
            stopping: Set when to stop; the job that runs then is interrupted.
            finished: Called after every job.
        """
        while not stopping.is_set():
            job = self.store.claim(self.name, resume=self.settings.resume)
            if job is None:
                stopping.wait(POLL_S)
                continue
            self.work(job, stopping)
            finished()

    def work(self, job: Job, stopping: threading.Event) -> None:
        """Run one job, and write down how it ended."""
        folder = job_folder(self.settings.folder, job.id)
        made = folder / "made"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        sources: dict[str, Source] = {}
        live = LiveWriter(folder)
        pulse = Pulse(self.store, job, self.settings.wall_s, stopping)
        try:
            with pulse:
                task = self.read_task(job.options)
                sources |= self._sources(task)
                bench = Workbench(
                    shelf=self.shelf,
                    progress=pulse.progress,
                    cancelled=pulse.cancelled,
                    on_block=live.write,
                    journal=folder / "journal",
                )
                outcome = task.run(sources, made, bench)
            ended = self._finish(job, outcome, made)
        except Cancelled:
            ended = self._stop(job, pulse.reason)
        except UserError as error:
            ended = self._fail(job, _named(str(error), sources))
        except MemoryError:
            ended = self._fail(job, "there is not enough memory for this job; ask for less at once")
        except Exception as error:
            log.exception("job %s (%s)", job.id, job.kind)
            ended = self._fail(job, f"an error in ondes ended this job ({type(error).__name__}); see the log")
        finally:
            live.close()
            shutil.rmtree(made, ignore_errors=True)
        if ended:
            shutil.rmtree(folder / "journal", ignore_errors=True)
            with suppress(OSError):  # it streamed
                folder.rmdir()

    def _sources(self, task: Task) -> dict[str, Source]:
        """Where the inputs are, by the fields of the task."""
        from ondes.tasks.task import Source  # noqa: PLC0415

        sources = {}
        for name, reference in task.references().items():
            file = self.store.files.found(reference.reference)
            if file is None or not path_of(self.settings.folder, file).is_file():
                called = name if file is None else file.name
                raise UserError(f"{called} is gone; upload it again, and submit the job again")
            sources[name] = Source(path_of(self.settings.folder, file), file.origin or file.name)
        return sources

    def _finish(self, job: Job, outcome: Outcome, made: Path) -> bool:
        """Keep what was made, unless the job has been given to another; whether its journal may go."""
        expires_at = time.time() + self.settings.keep_s
        files = []
        for position, one in enumerate(outcome.files):
            file = made_file(made / one.name, one, job.id, expires_at)
            file.position = position
            files.append(file)
        if files and outcome.remarks:
            files[0].report = "; ".join(outcome.remarks)
        for file in files:
            (made / file.name).replace(path_of(self.settings.folder, file))
        kept = False
        try:
            kept = self.store.finish(job.id, job.worker, files)
        finally:
            if not kept:
                for file in files:
                    path_of(self.settings.folder, file).unlink(missing_ok=True)
        return kept

    def _stop(self, job: Job, reason: str | None) -> bool:
        """The job was told to stop; whether its journal may go."""
        if reason == "stopped":
            self.store.give_up(job.id, job.worker, "interrupted", STOPPED)
            return False
        if reason == "time":
            return self._fail(job, too_long(self.settings.wall_s))
        return self.store.give_up(job.id, job.worker, "cancelled", None)

    def _fail(self, job: Job, sentence: str) -> bool:
        return self.store.give_up(job.id, job.worker, "failed", sentence)


def too_long(wall_s: float) -> str:
    """What is said about a job that took too long."""
    return f"the job took more than {wall_s:g} s, which is the most allowed; ask for less at once"


def job_folder(folder: Path, job_id: str) -> Path:
    """Where the journal of a job is, and its sound while it is made."""
    return folder / "jobs" / job_id


def made_file(path: Path, made: Made, job_id: str, expires_at: float) -> File:
    """The row of a file that a task made."""
    size, sha256 = path.stat().st_size, file_sha256(path)
    rest = {"job_id": job_id, "expires_at": expires_at}
    what: Description | None = None
    if made.kind == "audio":
        what = describe_audio(str(path))
    elif made.kind == "score":
        with suppress(UserError):  # it may hold no notes
            what = describe_score(str(path), made.name)
    if what is not None:
        return described(what, name=made.name, size=size, sha256=sha256, **rest)
    suffix = path.suffix
    media_type = MEDIA_TYPES[suffix]
    return File(
        name=made.name,
        kind=made.kind,
        media_type=media_type,
        bytes=size,
        sha256=sha256,
        suffix=suffix,
        **rest,
    )


def _named(sentence: str, sources: Mapping[str, Source]) -> str:
    """A sentence that calls files by their names, not by their places."""
    for source in sources.values():
        sentence = sentence.replace(str(source.path), source.name)
    return sentence


def _follow_server(stopping: threading.Event) -> None:
    """Stop when the server says so; end at once when there is no server any more."""
    while line := os.read(0, 64):
        if b"stop" in line:
            stopping.set()
    os._exit(EXIT_ORPHANED)


def warm() -> None:
    """Load what jobs need: seconds that the first one need not wait for."""
    importlib.import_module("ondes.pipelines.opening")


def main(arguments: Sequence[str]) -> None:
    """Be a worker until the server says or has had enough."""
    from ondes.tasks.kinds import read_task  # noqa: PLC0415

    folder, slot, token = Path(arguments[0]), arguments[1], arguments[2]
    stopping = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=_follow_server, args=(stopping,), daemon=True).start()
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    settings = StudioSettings.read(folder)
    shelf = ModelShelf(settings.models_in_memory, settings.threads)
    status = folder / "workers" / f"{slot}.json"

    def say_models() -> None:
        with written_whole(status) as neighbour:
            neighbour.write_text(json.dumps({"loaded": shelf.loaded()}), encoding="utf-8")

    # Whoever holds the lock lives: the server looks at it before it gives jobs of an earlier worker away.
    with FileLock(folder / "workers" / f"{slot}.lock"):
        store = Store(folder)
        say_models()
        warm()
        Worker(settings, store, token, shelf, read_task).run(stopping, finished=say_models)
        store.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    main(sys.argv[1:])
