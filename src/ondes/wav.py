"""The same music, the same bytes: libsndfile dates the peaks of floats in WAV files, here they have no date."""

from __future__ import annotations

import struct
from pathlib import Path

_CHUNK = struct.Struct("<4sI")
"""Name and size of a chunk of a RIFF file."""

_DATE_BYTES = slice(4, 8)
"""Where the seconds since 1970 stand in a PEAK chunk, behind its version."""


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
