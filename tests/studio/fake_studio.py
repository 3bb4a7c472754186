"""A studio without processes, models or a database, whose jobs end at once or when a test says so."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, BinaryIO

from ondes.errors import UserError
from ondes.studio.service import LiveFormat, ModelInfo, Studio
from ondes.studio.settings import StudioSettings
from ondes.studio.tables import File, Job, NotFound, QueueFull, new_id
from ondes.tasks import Task

BLOCK = bytes(range(200)) * 4
"""200 frames of 16-bit stereo, no two neighbours the same."""


class FakeStudio(Studio):
    """Keeps everything in dictionaries.

    Args:
        folder: Takes uploads and results.
        hold: Whether jobs stay queued until `run` and `finish` are called.
        queue_limit: Jobs that may wait.
        upload_bytes: Largest upload.

    Attributes:
        told: Each job that is watched as a client was told of it last.
    """

    def __init__(
        self, folder: Path, *, hold: bool = False, queue_limit: int = 64, upload_bytes: int = 100_000
    ) -> None:
        self.settings = StudioSettings(folder, queue_limit=queue_limit, upload_bytes=upload_bytes)
        self.hold = hold
        self.running = False
        self.table: dict[str, Job] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.stored: dict[str, tuple[File, Path]] = {}
        self.blocks: dict[str, list[bytes]] = {}
        self.told: dict[str, Job] = {}
        self.lock = threading.Lock()

    def start(self) -> None:
        self.running = True
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self._store("prelude.mid", b"MThd of the prelude", file_id="example:prelude", kind="score")

    def stop(self) -> None:
        self.running = False

    def _store(
        self, name: str, data: bytes, *, kind: str, file_id: str = "", job_id: str | None = None
    ) -> File:
        file = File(
            id=file_id or new_id(),
            job_id=job_id,
            name=name,
            kind=kind,
            media_type="audio/wav" if kind == "audio" else "audio/midi",
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            duration_s=2.0,
        )
        path = self.settings.folder / file.id.replace(":", "_")
        path.write_bytes(data)
        self.stored[file.id] = file, path
        return file

    def add_file(self, name: str, source: Path | BinaryIO) -> File:
        data = source.read_bytes() if isinstance(source, Path) else source.read()
        if data.startswith(b"defect"):
            raise RuntimeError("a defect")
        if not data.startswith((b"MThd", b"RIFF")):
            raise UserError(f"{Path(name).name} is no score and no audio; give a .mid or a .wav")
        return self._store(Path(name).name, data, kind="score" if data.startswith(b"MThd") else "audio")

    def example(self, name: str) -> File:
        return self.file(f"example:{name}")[0]

    def submit(self, task: Task, *, client: str = "", key: str | None = None) -> Job:
        if key is not None and (earlier := self.keys.get((client, key))) is not None:
            return self.job(earlier)
        for reference in task.references().values():
            self.file(reference.reference)
        with self.lock:
            waiting = sum(job.state == "queued" for job in self.table.values())
            if waiting >= self.settings.queue_limit:
                raise QueueFull(f"{waiting} jobs wait already; try again in 7 s", 7)
            job = Job(kind=task.kind, options=task.model_dump_json(), client=client)
            self.table[job.id] = job
            if key is not None:
                self.keys[client, key] = job.id
            self.blocks[job.id] = []
        if not self.hold:
            self.run(job.id)
            self.finish(job.id)
        return self.job(job.id)

    def run(self, job_id: str) -> None:
        """Begin a job, and stream its first block."""
        self.change(job_id, state="running", attempts=1, started_at=time.time(), total=2.0)
        self.blocks[job_id].append(BLOCK)

    def finish(self, job_id: str) -> None:
        """End a job well."""
        self.blocks[job_id].append(BLOCK[::-1])
        self._store("audio.wav", b"RIFF" + job_id.encode(), kind="audio", job_id=job_id)
        self.change(job_id, state="done", done=2.0, finished_at=time.time())

    def change(self, job_id: str, **values: Any) -> None:
        """Another state of a job; who has seen the old one keeps it."""
        self.table[job_id] = Job(**self.table[job_id].model_dump() | values)

    def job(self, job_id: str) -> Job:
        if job_id not in self.table:
            raise NotFound(f"there is no job {job_id!r}; submit it again")
        return self.table[job_id]

    def jobs(self, limit: int = 100, *, client: str | None = None) -> list[Job]:
        found = [job for job in self.table.values() if client in (None, job.client)]
        return found[::-1][:limit]

    def file(self, file_id: str) -> tuple[File, Path]:
        if file_id not in self.stored:
            raise NotFound(f"there is no file {file_id!r}; upload it first")
        return self.stored[file_id]

    def files_of(self, job_id: str) -> list[File]:
        self.job(job_id)
        return [file for file, _ in self.stored.values() if file.job_id == job_id]

    def cancel(self, job_id: str) -> Job:
        if not self.job(job_id).is_final:
            self.change(job_id, state="cancelled", finished_at=time.time())
        return self.job(job_id)

    def resume(self, job_id: str) -> Job:
        if self.job(job_id).is_final:
            raise UserError(f"job {job_id} has ended; submit it again")
        return self.job(job_id)

    def view(self, file_id: str, what: str) -> tuple[Path, str]:
        file, path = self.file(file_id)
        if (what in ("notes", "roll.png")) != (file.kind == "score"):
            raise UserError(f"{file.name} has no {what}; ask for another view")
        seen = path.with_name(f"{path.name}.{what}")
        seen.write_text("{}")
        return seen, "application/json" if "." not in what else "image/png"

    async def watch(self, job_id: str) -> AsyncGenerator[Job, None]:
        seen = None
        while True:
            job = self.job(job_id)
            if job is not seen:
                yield job
                self.told[job_id] = job
            if job.is_final:
                return
            seen = job
            await asyncio.sleep(0.002)

    async def live_format(self, job_id: str) -> LiveFormat:
        while not self.blocks.get(job_id):
            if self.job(job_id).is_final:
                raise NotFound(f"job {job_id} has ended without sound; there is nothing to hear")
            await asyncio.sleep(0.002)
        return LiveFormat(44_100, 2)

    async def live(self, job_id: str) -> AsyncGenerator[bytes, None]:
        sent = 0
        while True:
            final = self.job(job_id).is_final
            for block in self.blocks[job_id][sent:]:
                sent += 1
                yield block
            if final:
                return
            await asyncio.sleep(0.002)

    def models(self) -> list[ModelInfo]:
        return [ModelInfo("synth-small", "synthesiser", "Apache-2.0", loaded=False)]

    def counts(self) -> dict[str, float]:
        states = [job.state for job in self.table.values()]
        return {f"jobs_{state}": float(states.count(state)) for state in ("queued", "running", "done")}
