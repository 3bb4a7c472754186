"""MIDI files made byte by byte, well formed or not, for the tests of the reader."""

from __future__ import annotations

import struct
from collections.abc import Iterable

Event = tuple[int, bytes]
"""A time in ticks from the beginning, and the bytes of an event without its delta time."""


def varlen(value: int) -> bytes:
    """A variable-length number."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def on(pitch: int, velocity: int = 64, channel: int = 0) -> bytes:
    return bytes([0x90 | channel, pitch, velocity])


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes([0x80 | channel, pitch, 0])


def control(number: int, value: int, channel: int = 0) -> bytes:
    return bytes([0xB0 | channel, number, value])


def program(number: int, channel: int = 0) -> bytes:
    return bytes([0xC0 | channel, number])


def bend(value: int, channel: int = 0) -> bytes:
    return bytes([0xE0 | channel, value + 8192 & 0x7F, value + 8192 >> 7])


def meta(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + varlen(len(data)) + data


def tempo(us: int) -> bytes:
    return meta(0x51, us.to_bytes(3, "big"))


def chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack(">I", len(data)) + data


def track(events: Iterable[Event], *, end: int | None = None) -> bytes:
    """A track chunk; `end` is the time of its end mark, by default that of the last event."""
    body, now = b"", 0
    for time, data in events:
        body += varlen(time - now) + data
        now = time
    return chunk(b"MTrk", body + varlen((now if end is None else end) - now) + meta(0x2F, b""))


def midi(*tracks: bytes, kind: int = 1, division: int = 480, declared: int | None = None) -> bytes:
    """A file of track chunks."""
    count = len(tracks) if declared is None else declared
    return chunk(b"MThd", struct.pack(">HHH", kind, count, division)) + b"".join(tracks)


def note(start: int, end: int, pitch: int, velocity: int = 64, channel: int = 0) -> list[Event]:
    return [(start, on(pitch, velocity, channel)), (end, off(pitch, channel))]


def in_order(*events: Event | list[Event]) -> list[Event]:
    """Events and lists of events, by time; at one time as given."""
    flat = [event for item in events for event in (item if isinstance(item, list) else [item])]
    return sorted(flat, key=lambda event: event[0])
