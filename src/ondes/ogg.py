"""The same music, the same bytes: OGG encoders number their streams at random, here the number is fixed."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

_HEADER = struct.Struct("<4sBBqIIIB")
"""Capture pattern, version, flags, position, stream, page, checksum, segments (RFC 3533, section 6)."""

_CHECKSUM_AT = 22
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def number_stream(path: Path, number: int = 1) -> None:
    """Give the one stream of an OGG file a number of our choice, in place, page by page.

    Args:
        path: A complete OGG file with one stream.
        number: The stream number, 0 to 2**32 - 1.

    Raises:
        ValueError: If something else than a page stands where a page should.
    """
    with path.open("r+b") as file:
        while header := file.read(_HEADER.size):
            if len(header) < _HEADER.size or not header.startswith(b"OggS"):
                raise ValueError(f"{path} has no OGG page at byte {file.tell() - len(header)}")
            pattern, version, flags, position, _, page_number, _, segments = _HEADER.unpack(header)
            lengths = file.read(segments)
            renumbered = _HEADER.pack(pattern, version, flags, position, number, page_number, 0, segments)
            page = bytearray(renumbered + lengths + file.read(sum(lengths)))
            struct.pack_into("<I", page, _CHECKSUM_AT, checksum(page))
            file.seek(-len(page), io.SEEK_CUR)
            file.write(page)


def checksum(page: bytes | bytearray) -> int:
    """The CRC of an OGG page whose checksum field is 0 (polynomial 04C11DB7, from 0, highest bit first).

    zlib has the same polynomial lowest bit first, begun and ended with all ones: bits go in and come out
    reversed.
    """
    mirrored = zlib.crc32(bytes(page).translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")
