"""The bytes of a Standard MIDI File as arrays of events, checked at every step.

Written from the Standard MIDI Files 1.0 specification (RP-001). Every length in the file is checked against
the bytes that are there before anything is allocated: a hostile file costs no more than its own size.
"""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from ondes.errors import UserError
from ondes.midi_scan import scan_tracks

MOST_BYTES = 8 * 2**20
"""Room for a million notes."""
MOST_TRACKS = 4096
MOST_METAS = 200_000
"""Tempos, names, markers and signatures of all tracks together."""
MOST_TICKS = 2**31 - 1
"""symusic counts ticks in 32 bits."""

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM, PITCH_BEND = 0x8, 0x9, 0xB, 0xC, 0xE
TRACK_NAME, MARKER, PORT, END_OF_TRACK, TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = (
    *(0x03, 0x06, 0x21, 0x2F, 0x51, 0x58, 0x59),
)

KEPT = (TRACK_NAME, MARKER, PORT, END_OF_TRACK, TEMPO, TIME_SIGNATURE, KEY_SIGNATURE)
_SYSTEM_DATA_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}


@dataclass(eq=False)
class FileTrack:
    """The events of one track chunk, times in ticks since its beginning.

    `packed` holds channel events in file order, each as
    time << 24 | status byte << 16 | first data byte << 8 | second data byte.
    """

    packed: array = field(default_factory=lambda: array("q"))
    metas: list[tuple[int, int, bytes]] = field(default_factory=list)
    end: int = 0

    def events(self) -> Int64[np.ndarray, "4 events"]:
        """Rows of time in ticks, status byte, first and second data byte of every channel event."""
        packed = np.frombuffer(self.packed, np.int64) if self.packed else np.zeros(0, np.int64)
        return np.stack([packed >> 24, packed >> 16 & 0xFF, packed >> 8 & 0xFF, packed & 0xFF])


@dataclass(eq=False)
class MidiFile:
    """A parsed file.

    `division` is ticks a quarter note, or where `frames_per_second` is not 0 (SMPTE time), ticks a frame.
    """

    kind: int
    division: int
    frames_per_second: float
    tracks: list[FileTrack]
    repairs: Counter[str]


def parse_midi(data: bytes, name: str) -> MidiFile:
    """Read a Standard MIDI File, bare or wrapped in RIFF (RMID).

    Args:
        data: The whole file.
        name: What to call it in messages.

    Raises:
        UserError: If it is empty, too large, not MIDI, truncated or corrupt; the message says where.
    """
    if len(data) > MOST_BYTES:
        raise UserError(
            f"{name} has {len(data) / 2**20:.0f} MiB; a score has at most {MOST_BYTES >> 20} MiB, so split it"
        )
    repairs: Counter[str] = Counter()
    data, kind, declared, division, position = _header(data, name)
    tracks: list[FileTrack] = []
    metas = 0
    while position < len(data):
        if len(tracks) == MOST_TRACKS:
            raise UserError(f"{name} has more than {MOST_TRACKS} tracks; merge them")
        position, chunk = _chunk(data, position, len(tracks) + 1, name, repairs)
        if chunk is not None:
            tracks.append(_track(chunk, position - len(chunk), f"{name}: track {len(tracks) + 1}", repairs))
            metas += len(tracks[-1].metas)
            if metas > MOST_METAS:
                raise UserError(f"{name} has more than {MOST_METAS} tempos, markers and names; thin them out")
    if len(tracks) < declared:
        raise UserError(
            f"{name}: {declared} tracks are announced but the file ends after {len(tracks)}, at byte "
            f"{len(data)}; the file is truncated, so get it again"
        )
    repairs["tracks beyond the announced number kept"] += len(tracks) - declared
    fps, ticks = _division(division, name)
    return MidiFile(kind, ticks, fps, tracks, +repairs)


def _header(data: bytes, name: str) -> tuple[bytes, int, int, int, int]:
    """The file without a RIFF wrapper, its kind, announced tracks, division word and first chunk's place."""
    if not data:
        raise UserError(f"{name} is empty; give a Standard MIDI File (.mid)")
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        start = data.find(b"MThd", 12)
        data = data[start:] if start > 0 else b""
    if data[:4] != b"MThd":
        raise UserError(
            f"{name} is not MIDI: it does not begin with 'MThd'; give a Standard MIDI File (.mid)"
        )
    if len(data) < 14:
        raise UserError(
            f"{name}: the header ends at byte {len(data)} of 14; the file is truncated, get it again"
        )
    size, kind, declared, division = struct.unpack(">IHHH", data[4:14])
    if size < 6 or kind > 2:
        raise UserError(
            f"{name}: a header of {size} bytes, format {kind}; the formats of MIDI files are 0, 1 and 2"
        )
    return data, kind, declared, division, 8 + size


def _chunk(
    data: bytes, position: int, number: int, name: str, repairs: Counter[str]
) -> tuple[int, bytes | None]:
    """The position after the chunk at `position`, and its content where it is a track."""
    if data[position : position + 4] != b"MTrk":
        known = len(data) - position >= 8 and data[position : position + 4].isalnum()
        size = int.from_bytes(data[position + 4 : position + 8], "big") if known else len(data)
        repairs["chunks that are no track skipped" if known else "bytes after the last track ignored"] += 1
        return min(position + 8 + size, len(data)), None
    size = int.from_bytes(data[position + 4 : position + 8], "big")
    position += 8
    left = len(data) - position
    if size > left:
        raise UserError(
            f"{name}: track {number} announces {size} bytes but the file ends after {max(left, 0)} of them, "
            f"at byte {len(data)}; the file is truncated, so get it again"
        )
    return position + size, data[position : position + size]


def _division(word: int, name: str) -> tuple[float, int]:
    """Frames a second (0 for musical time) and ticks a quarter note or frame."""
    if word < 0x8000:
        if word == 0:
            raise UserError(f"{name}: 0 ticks a quarter note; a MIDI file has 1 to 32767, so export it again")
        return 0.0, word
    frames, ticks = 256 - (word >> 8), word & 0xFF
    if frames not in (24, 25, 29, 30) or ticks == 0:
        raise UserError(
            f"{name}: {frames} frames a second of {ticks} ticks; SMPTE time has 24, 25, 29 or 30 frames"
        )
    return (30000 / 1001 if frames == 29 else float(frames)), ticks


def _track(data: bytes, offset: int, name: str, repairs: Counter[str]) -> FileTrack:
    """The events of a track chunk that lies at byte `offset` of the file."""
    scan = scan_tracks([data], KEPT)
    if scan is not None:
        metas = [event[1:] for event in scan.metas]
        return FileTrack(array("q", scan.packed.tobytes()), metas, scan.ends[0])
    return _track_by_byte(data, offset, name, repairs)


def _track_by_byte(data: bytes, offset: int, name: str, repairs: Counter[str]) -> FileTrack:
    """The events of a track chunk, read one after the other; says where it is wrong."""
    track = FileTrack()
    start = position = now = running = 0
    append, size = track.packed.append, len(data)
    try:
        while position < size:
            start = position
            delta = data[position]
            position += 1
            if delta >= 0x80:
                delta, position = _number(data, start)
                _check_ticks(now + delta, name)
            now += delta
            status = data[position]
            if status >= 0x80:
                position += 1
            else:
                status = running
            if 0x80 <= status < 0xF0:
                running = status
                first = data[position]
                second = 0 if 0xC0 <= status < 0xE0 else data[position + 1]
                position += 1 if 0xC0 <= status < 0xE0 else 2
                if first > 0x7F or second > 0x7F:
                    raise _CorruptError("a status byte stands where data belongs")
                append(now << 24 | status << 16 | first << 8 | second)
            else:
                position = _system_event(data, position, status, now, track)
                if track.metas and track.metas[-1][1] == END_OF_TRACK:
                    break
    except IndexError:
        raise UserError(
            f"{name} ends inside an event at byte {offset + start}; the file is truncated, so get it again"
        ) from None
    except _CorruptError as error:
        raise UserError(
            f"{name} is corrupt at byte {offset + start}: {error}; export the file again"
        ) from None
    _finish(track, now, size - position, repairs)
    return track


def _finish(track: FileTrack, now: int, left: int, repairs: Counter[str]) -> None:
    """Note the track's end, and what was wrong with it."""
    track.end = now
    if not track.metas or track.metas[-1][1] != END_OF_TRACK:
        repairs["tracks without an end mark ended with their last event"] += 1
    elif left:
        repairs["tracks with bytes after their end mark, ignored"] += 1


def _check_ticks(now: int, name: str) -> None:
    """Refuse times that cannot be counted; single-byte steps cannot add up to them in the largest file."""
    if now > MOST_TICKS:
        raise UserError(f"{name} lasts {now} ticks; at most {MOST_TICKS} can be counted, so shorten it")


class _CorruptError(Exception):
    """An event that no MIDI file holds."""


def _number(data: bytes, position: int) -> tuple[int, int]:
    """The variable-length number at `position`, and the position after it."""
    value = 0
    for index in range(position, position + 4):
        byte = data[index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, index + 1
    raise _CorruptError("a number of more than 4 bytes")


def _system_event(data: bytes, position: int, status: int, now: int, track: FileTrack) -> int:
    """Read a meta or system event, whose status byte lies before `position`; the position after it."""
    if status < 0x80:
        raise _CorruptError("data without a status byte")
    if status == 0xFF:
        kind = data[position]
        size, position = _number(data, position + 1)
    elif status in (0xF0, 0xF7):
        kind = -1
        size, position = _number(data, position)
    else:
        return position + _SYSTEM_DATA_BYTES.get(status, 0)
    if position + size > len(data):
        raise IndexError
    if kind in KEPT:
        track.metas.append((now, kind, data[position : position + size]))
    return position + size
