"""A studio in the test's own process: tasks that need no model, and a worker that is a thread."""

from __future__ import annotations

import atexit
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.studio.readers import LIGHT, Readers
from ondes.studio.service import Job, Studio
from ondes.studio.settings import StudioSettings
from ondes.studio.worker import Worker
from ondes.tasks.bench import Cancelled, Workbench
from ondes.tasks.shelf import ModelShelf
from ondes.tasks.task import Made, Outcome, Reference, Source, Task

RATE_HZ = 8000
PATIENCE_S = 300.0
"""Longest wait for anything, on a machine that does much else."""

HOLDS: dict[str, Callable[[int], None]] = {}
"""What tones wait for before each of their blocks, whose number it is given, by what their `hold` says."""

READERS = Readers(LIGHT, wall_s=PATIENCE_S, memory_bytes=2**30)
"""One for all tests of a process: to load what reading takes costs a second."""
atexit.register(READERS.close)


class Tone(Task):
    """Makes so many seconds of a tone in blocks of a tenth of one, like a model that streams."""

    kind: Literal["tone"] = "tone"
    duration_s: float = 0.3
    pause_s: float = 0.0
    score: str | None = None
    model: str = "synth-small"
    hold: str = ""
    fault: Literal["user", "memory", "bug", "deaf", ""] = ""

    def references(self) -> dict[str, Reference]:
        return {} if self.score is None else {"score": Reference(self.score, "score")}

    def models(self) -> tuple[str, ...]:
        return (self.model,)

    def asked_s(self) -> float:
        return self.duration_s

    def run(
        self,
        sources: Mapping[str, Source],
        folder: Path,
        bench: Workbench,
        *,
        stem: str = "",  # noqa: ARG002
    ) -> Outcome:
        whole = tone(self.duration_s, self.seed)
        self._fail(sources)
        block = RATE_HZ // 10
        for start in range(0, whole.samples.shape[1], block):
            if bench.cancelled() and self.fault != "deaf":
                raise Cancelled
            time.sleep(self.pause_s)
            if self.hold:
                HOLDS[self.hold](start // block)
            if bench.on_block is not None:
                bench.on_block(Audio(whole.samples[:, start : start + block], RATE_HZ))
            bench.progress(start + block, whole.samples.shape[1])
        whole.write(folder / "tone.wav")
        (folder / "record.json").write_text(json.dumps({"seed": self.seed}))
        return Outcome([Made("tone.wav", "audio"), Made("record.json", "record")], ["a remark"])

    def _fail(self, sources: Mapping[str, Source]) -> None:
        if self.fault == "user":
            raise UserError(f"{sources['score'].path} has no end; give one that has")
        if self.fault == "memory":
            raise MemoryError
        if self.fault == "bug":
            raise ZeroDivisionError("of no use to anybody")


def tone(duration_s: float, seed: int) -> Audio:
    """What `Tone` makes: 200 Hz, and one more for each number of the seed."""
    times = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return Audio(0.5 * np.sin(2 * np.pi * (200 + seed) * times)[None].astype(np.float32), RATE_HZ)


def read_tone(options: str) -> Task:
    return Tone.model_validate_json(options)


def quiet(folder: Path, **limits: object) -> Studio:
    """A studio whose workers never begin."""
    studio = Studio(replace(StudioSettings(folder, models=("synth-small",)), **limits))  # pyright: ignore[reportArgumentType]
    studio.supervisor.start = lambda: None
    studio.room.readers.close()
    studio.room.readers = READERS
    studio.room.close = lambda: None
    return studio


def worker_of(studio: Studio, name: str = "w") -> Worker:
    return Worker(studio.settings, studio.store, name, ModelShelf(), read_tone)


@contextmanager
def threaded(folder: Path, **limits: object) -> Iterator[Studio]:
    """A studio with one worker that is a thread."""
    studio = quiet(folder, **limits)
    studio.start()
    stopping = threading.Event()
    thread = threading.Thread(target=worker_of(studio).run, args=(stopping,))
    thread.start()
    try:
        yield studio
    finally:
        stopping.set()
        thread.join()
        studio.stop()


def wait_until(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Return when something holds.

    Raises:
        TimeoutError: If it does not within the time.
    """
    end_s = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > end_s:
            raise TimeoutError
        time.sleep(0.005)


def ended(studio: Studio, job: Job, patience_s: float = PATIENCE_S) -> Job:
    """The job when it is final."""
    wait_until(lambda: studio.job(job.id).is_final, patience_s)
    return studio.job(job.id)
