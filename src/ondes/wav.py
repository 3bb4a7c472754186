"""WAV bytes that libsndfile does not write: samples on their way before all are made, files without a date.

libsndfile dates the peaks of floats in WAV files; the same music is the same bytes only without that date.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ondes.audio import Audio

_CHUNK = struct.Struct("<4sI")
"""Name and size of a chunk of a RIFF file."""

_DATE_BYTES = slice(4, 8)
"""Where the seconds since 1970 stand in a PEAK chunk, behind its version."""

UNKNOWN_LENGTH = 0xFFFFFFFF


def undate_peaks(path: Path) -> None:
    """Set the date of a WAV file's PEAK chunk to 0, in place; nothing changes where it has none.

    Args:
        path: A complete WAV file.
    """
    with path.open("r+b") as file:
        file.seek(12)
        while len(header := file.read(_CHUNK.size)) == _CHUNK.size:
            name, size = _CHUNK.unpack(header)
            if name == b"PEAK":
                file.seek(_DATE_BYTES.start, 1)
                file.write(bytes(_DATE_BYTES.stop - _DATE_BYTES.start))
                return
            file.seek(size + size % 2, 1)


def to_pcm16(block: Audio) -> bytes:
    """Interleaved 16-bit little-endian samples; beyond full scale clips."""
    import numpy as np  # noqa: PLC0415

    scaled = np.rint(np.clip(block.samples, -1.0, 1.0) * 32767)
    return scaled.T.astype("<i2").tobytes()


def wav_header(sample_rate_hz: int, channels: int) -> bytes:
    """The 44 bytes before 16-bit PCM whose length is not known yet; players read on until the pipe ends."""
    frame_bytes = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", UNKNOWN_LENGTH, b"WAVE"),
        *(b"fmt ", 16, 1, channels, sample_rate_hz, sample_rate_hz * frame_bytes, frame_bytes, 16),
        *(b"data", UNKNOWN_LENGTH),
    )
