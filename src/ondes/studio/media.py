"""What files may be, and what they are called: names for display, suffixes and media types by what they hold."""

from __future__ import annotations

import unicodedata

LONGEST_NAME = 120
"""Characters of a name that is displayed."""

MEDIA_TYPES = {
    ".mid": "audio/midi",
    ".musicxml": "application/vnd.recordare.musicxml+xml",
    ".mxl": "application/vnd.recordare.musicxml",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".aiff": "audio/aiff",
    ".json": "application/json",
    ".png": "image/png",
    ".html": "text/html",
    ".zip": "application/zip",
}
"""Of every file that a studio keeps, by its suffix."""

SCORE_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".musicxml", ".xml", ".mxl")
"""By which a file that is neither clearly a score nor clearly audio is taken for a score."""

ZIP = b"PK\x03\x04"


def display_name(name: str) -> str:
    """The last part of what a client calls its file, without anything that could mislead a reader or a header.

    Control and formatting characters go, as those that turn the direction of writing; it is never used as a path.
    """
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    plain = unicodedata.normalize("NFC", last)
    kept = "".join(
        " " if char.isspace() else char
        for char in plain
        if char.isspace() or unicodedata.category(char)[0] != "C"
    )
    kept = " ".join(kept.split()).strip(". ")
    if len(kept) > LONGEST_NAME:
        stem, dot, suffix = kept.rpartition(".")
        tail = f".{suffix}" if dot and len(suffix) <= 8 else ""
        kept = (stem if tail else kept)[: LONGEST_NAME - len(tail)] + tail
    return kept or "upload"


def is_score(head: bytes, name: str) -> bool:
    """Whether to read a file as a score, by its first bytes, and where these say nothing by its name.

    Args:
        head: At least its first 12 bytes, if it has them.
        name: For display; its suffix counts.
    """
    if head[:4] == b"MThd" or head[:4] == ZIP or (head[:4] == b"RIFF" and head[8:12] == b"RMID"):
        return True
    if head[:4] in {b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM"} or head[:3] == b"ID3" or _is_mp3(head):
        return False
    if head.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0").startswith(b"<"):
        return True
    return name.lower().endswith(SCORE_SUFFIXES)


def _is_mp3(head: bytes) -> bool:
    """Whether a frame of MPEG audio layer III begins here: eleven bits of synchronisation, any version, that layer."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2
