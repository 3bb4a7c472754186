"""The sound of a job while it is made: a file that grows, and those who follow it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ondes.files import written_whole
from ondes.wav import to_pcm16

if TYPE_CHECKING:
    from ondes.audio import Audio

PCM, FORMAT = "live.pcm", "live.json"
LOOK_S = 0.02
"""How often a follower looks for more."""

PIECE_BYTES = 2**16


@dataclass(frozen=True)
class LiveFormat:
    """What the bytes of `Studio.live` are: 16-bit little-endian samples, channels interleaved."""

    sample_rate_hz: int
    channels: int


class LiveWriter:
    """Writes blocks to the file that others follow.

    A job that goes on after an interruption makes the same blocks again: they are written over those that are there,
    and who follows notices nothing.

    Args:
        folder: Of the job.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: BinaryIO | None = None

    def write(self, block: Audio) -> None:
        """Append a block; it can be heard at once."""
        if self._file is None:
            self._file = self._opened(LiveFormat(block.sample_rate_hz, block.channels))
        self._file.write(to_pcm16(block))

    def close(self) -> None:
        """No more blocks will come."""
        if self._file is not None:
            self._file.close()

    def _opened(self, kind: LiveFormat) -> BinaryIO:
        path = self.folder / PCM
        if live_format(self.folder) != kind:
            path.write_bytes(b"")
            with written_whole(self.folder / FORMAT) as neighbour:
                neighbour.write_text(json.dumps(asdict(kind)), encoding="utf-8")
        return path.open("r+b", buffering=0)


def live_format(folder: Path) -> LiveFormat | None:
    """What a job streams; None if there is nothing yet."""
    try:
        return LiveFormat(**json.loads((folder / FORMAT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


async def follow(folder: Path, ended: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
    """The bytes of a job's sound as they come.

    To ask for the size of a file never blocks; only what is there is read, in a thread.

    Args:
        folder: Of the job.
        ended: Whether no more will come; what came before it said so is still given.
    """
    path, position = folder / PCM, 0
    while True:
        last = ended()
        size = path.stat().st_size if path.exists() else 0
        while position < size:
            piece = await asyncio.to_thread(_piece, path, position, min(PIECE_BYTES, size - position))
            if not piece:
                return
            position += len(piece)
            yield piece
        if last:
            return
        await asyncio.sleep(LOOK_S)


def _piece(path: Path, position: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(position)
        return file.read(size)
