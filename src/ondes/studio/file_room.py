"""The files of a studio on disk: taken in, found, looked at and thrown away. They are named by ids alone.

files/ID.SUFFIX    uploads and results
views/ID/          what was made to look at them
incoming/ID        uploads that are still being read
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from ondes.errors import UserError, nearest
from ondes.files import file_sha256
from ondes.studio.examples import example_named
from ondes.studio.inspection import Description
from ondes.studio.media import MEDIA_TYPES, display_name
from ondes.studio.readers import LIGHT, PICTURES, Readers
from ondes.studio.settings import MIB, StudioSettings
from ondes.studio.store import File, Job, NotFound, QueueFull, Store, new_id
from ondes.studio.views import VIEWS

EXAMPLE = "example:"
"""Before the name of a file of the package, where a reference to a file is asked for."""

PIECE_BYTES = 2**18
FULL_RETRY_S = 60
DRAWN_LONGER = 5
"""How many times longer than to read a file it may take to draw it."""

VIEW_LOCKS = 64


@runtime_checkable
class Readable(Protocol):
    """Anything open that gives bytes, as an upload."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


class FileRoom:
    """Takes files in and gives them out.

    Args:
        settings: Limits, and the folder.
        store: Their rows.
    """

    def __init__(self, settings: StudioSettings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.beside_bytes = 0
        wall_s, memory_bytes = settings.inspect_s, settings.inspect_bytes
        self.readers = Readers(LIGHT, wall_s=wall_s, memory_bytes=memory_bytes)
        # What is drawn was read within the limit already; where much else is done, a picture may take longer.
        self.drawers = Readers(PICTURES, wall_s=DRAWN_LONGER * wall_s, memory_bytes=memory_bytes)
        self._view_locks = [threading.Lock() for _ in range(VIEW_LOCKS)]
        for name in ("files", "views", "incoming", "jobs"):
            (settings.folder / name).mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """End the processes that read."""
        self.readers.close()
        self.drawers.close()

    def add(self, name: str, source: Path | Readable) -> File:
        """See `Studio.add_file`."""
        name = display_name(name)
        incoming = self.settings.folder / "incoming" / new_id()
        try:
            sha256, size = self._copy(name, source, incoming)
            self.make_room(size)
            found = self.readers.read(
                "inspect",
                name,
                path=str(incoming),
                name=name,
                audio_s=self.settings.audio_s,
                notes=self.settings.notes,
            )
            expires_at = time.time() + self.settings.keep_s
            file = described(Description(**found), name=name, size=size, sha256=sha256, expires_at=expires_at)
            incoming.replace(path_of(self.settings.folder, file))
            self.store.files.add(file)
            return file
        finally:
            incoming.unlink(missing_ok=True)

    def _copy(self, name: str, source: Path | Readable, target: Path) -> tuple[str, int]:
        """Copy an upload piece by piece; its SHA-256 and size."""
        if isinstance(source, Path):
            with source.open("rb") as stream:
                return self._copy(name, stream, target)
        digest, size, most = hashlib.sha256(), 0, self.settings.upload_bytes
        with target.open("wb") as sink:
            while piece := source.read(PIECE_BYTES):
                size += len(piece)
                if size > most:
                    raise UserError(f"{name} is larger than {most / MIB:g} MiB, which is the most; cut it")
                digest.update(piece)
                sink.write(piece)
        return digest.hexdigest(), size

    def example(self, name: str) -> File:
        """See `Studio.example`."""
        example = example_named(name)
        sha256 = file_sha256(example.path)
        file_id = uuid.uuid5(uuid.NAMESPACE_URL, f"ondes:{name}:{sha256}").hex
        found = self.store.files.found(file_id)
        if found is None or not path_of(self.settings.folder, found).is_file():
            limits = {"audio_s": self.settings.audio_s, "notes": self.settings.notes}
            what = self.readers.read("inspect", name, path=str(example.path), name=name, **limits)
            size = example.path.stat().st_size
            found = described(Description(**what), name=example.file_name, size=size, sha256=sha256)
            found.id, found.origin = file_id, example.origin
            incoming = self.settings.folder / "incoming" / new_id()
            shutil.copyfile(example.path, incoming)
            incoming.replace(path_of(self.settings.folder, found))
            self.store.files.add(found)
        return found

    def find(self, reference: str) -> tuple[File, Path]:
        """A file by its id, or by "example:" and a name; see `Studio.file`."""
        if reference.startswith(EXAMPLE):
            file = self.example(reference.removeprefix(EXAMPLE))
        else:
            file = self.store.files.get(reference)
        path = path_of(self.settings.folder, file)
        if not path.is_file():
            raise NotFound(f"{file.name} is gone; make it again")
        return file, path

    def view(self, reference: str, what: str) -> tuple[Path, str]:
        """See `Studio.view`."""
        file, path = self.find(reference)
        view = VIEWS.get(what)
        if view is None or view.kind != file.kind:
            fitting = [name for name, one in VIEWS.items() if one.kind == file.kind]
            known = nearest(what[:40], fitting) if fitting else "it can only be downloaded"
            raise UserError(f"{file.name} is {_article(file.kind)} and has no view {what[:40]!r}: {known}")
        if view.reading == "sound" and file.media_type == view.media_type:
            return path, view.media_type
        out = self.settings.folder / "views" / file.id / view.file_name
        with self._view_locks[hash((file.id, what)) % VIEW_LOCKS]:
            if not out.is_file():
                out.parent.mkdir(exist_ok=True)
                readers = self.drawers if view.draws else self.readers
                readers.read(view.reading, file.name, path=str(path), out=str(out))
        return out, view.media_type

    # Throwing away.

    def make_room(self, size: int) -> None:
        """Delete the oldest files until so many bytes more can be kept.

        Raises:
            QueueFull: If what may not be deleted leaves no room.
        """
        most = self.settings.storage_bytes
        excess = self.store.files.stored_bytes() + self.beside_bytes + size - most
        if excess <= 0:
            return
        going = []
        for file in self.store.files.oldest(spared=self.spared()):
            if excess <= 0:
                break
            going.append(file)
            excess -= file.bytes
        self.delete(going)
        if excess > 0:
            full = f"the studio keeps {most / MIB:g} MiB and has no room for {size / MIB:.1f} MiB more"
            raise QueueFull(f"{full}; try again in {FULL_RETRY_S} s", FULL_RETRY_S)

    def spared(self) -> set[str]:
        """Ids of files that jobs still need."""
        return referenced_ids(self.store.unfinished())

    def delete(self, files: Iterable[File]) -> None:
        """Delete the bytes of files, and their views; their rows say that they are gone."""
        files = list(files)
        if not files:
            return
        self.store.files.mark_gone([file.id for file in files])
        for file in files:
            with suppress(OSError):
                path_of(self.settings.folder, file).unlink(missing_ok=True)
            shutil.rmtree(self.settings.folder / "views" / file.id, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what an interrupted program left: to be called while nothing else runs."""
        present = self.store.files.present_ids()
        for folder in ("files", "views", "incoming"):
            for path in (self.settings.folder / folder).iterdir():
                if path.name.split(".")[0] not in present:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def described(
    what: Description,
    *,
    name: str,
    size: int,
    sha256: str,
    job_id: str | None = None,
    expires_at: float | None = None,
) -> File:
    """The row of a new score or audio file."""
    return File(
        job_id=job_id,
        name=name,
        kind=what.kind,
        media_type=MEDIA_TYPES[what.suffix],
        bytes=size,
        sha256=sha256,
        duration_s=what.duration_s,
        notes=what.notes,
        sample_rate_hz=what.sample_rate_hz,
        channels=what.channels,
        report=what.report,
        suffix=what.suffix,
        expires_at=expires_at,
    )


def path_of(folder: Path, file: File) -> Path:
    """Where the bytes of a file are; both parts of the name are ours."""
    return folder / "files" / f"{file.id}{file.suffix}"


def referenced_ids(jobs: Iterable[Job]) -> set[str]:
    """Ids of files that the tasks of jobs may name."""
    return {found for job in jobs for found in re.findall(r"\b[0-9a-f]{32}\b", job.options)}


def _article(kind: str) -> str:
    return kind if kind == "audio" else f"a {kind}"
