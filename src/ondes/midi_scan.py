"""Track chunks of regular MIDI files read at once; whatever is unusual is left to the careful reader.

Every byte is taken for the beginning of an event, and where the next one would begin is computed for all of them
together; the true events are the chain that starts at the first byte.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt8

LEAST_BYTES, MOST_BYTES = 256, 2**20
"""Chunks that are scanned: in shorter ones it saves nothing, longer ones would need much memory."""

MOST_TICKS = 2**31 - 1
END_OF_TRACK, META = 0x2F, 0xFF

MOST_DIGITS = 4
"""Bytes of a number of variable length."""

_SPANS = bytes(3 - (first < 0x80) - (first & 0xE0 == 0xC0) for first in range(256))
"""Bytes of a channel event by its first one, which is data where the status runs on."""

Places = Int64[np.ndarray, " _"]
Bytes = UInt8[np.ndarray, " _"]


class Scan(NamedTuple):
    """The events of track chunks, one chunk after the other; columns of bytes, as bytes are fast.

    Attributes:
        time: Of each channel event, in ticks since the beginning of its chunk.
        track: Index of its chunk.
        status: Its status byte, whether written or running on.
        first: Its first data byte.
        second: Its second data byte, 0 where there is one only.
        metas: Chunk, time in ticks, kind and content of the meta events asked for.
        ends: Times of the end marks in ticks.
    """

    time: Places
    track: Places
    status: Bytes
    first: Bytes
    second: Bytes
    metas: list[tuple[int, int, int, bytes]]
    ends: list[int]

    @property
    def packed(self) -> Places:
        """Channel events: time << 24 | status byte << 16 | first data byte << 8 | second data byte."""
        status, first, second = np.stack([self.status, self.first, self.second]).astype(np.int64)
        return self.time << 24 | status << 16 | first << 8 | second


def scan_tracks(chunks: Sequence[bytes], kept: Collection[int]) -> Scan | None:
    """The events of chunks that all end with their end mark, or None where they have to be read byte by byte.

    None is the answer to system messages, to running status after program changes and channel pressure, and to
    anything that is wrong.

    Args:
        chunks: The contents of the chunks.
        kept: Kinds of meta events to return.
    """
    size = sum(map(len, chunks))
    if not LEAST_BYTES <= size <= MOST_BYTES:
        return None
    # Zeros behind the end, so that a look ahead finds a byte; no event may reach them.
    data = b"".join([*chunks, bytes(2 * MOST_DIGITS)])
    byte = np.frombuffer(data, np.uint8)
    digits = _digits(byte)
    starts = _chain(_following(data, byte, digits), size)
    if starts is None:
        return None
    begins = np.cumsum([0, *map(len, chunks)])
    bounds = np.searchsorted(starts, begins)
    counts, own = np.diff(bounds), digits.take(starts)
    if not counts.all() or (starts[bounds[:-1]] != begins[:-1]).any() or own.max() > MOST_DIGITS:
        return None
    total = np.cumsum(_numbers(byte, own, starts))
    time = total - np.append(0, total)[bounds[:-1]].repeat(counts)
    at, last = starts + own, bounds[1:] - 1
    status = byte.take(at)
    metas = np.flatnonzero(status == META)
    kinds = byte.take(at[metas] + 1)
    # Every chunk's last event is an end mark, and no other event is.
    if not np.array_equal(metas[kinds == END_OF_TRACK], last) or time[last].max() > MOST_TICKS:
        return None
    columns = _channel_events(byte, at, status, bounds)
    if columns is None:
        return None
    track, chosen = np.arange(len(chunks)).repeat(counts), np.flatnonzero(status < 0xF0)
    metas = metas[_among(kinds, kept)]
    places, following = at[metas], np.append(starts, size)[metas + 1]
    contents = places + 2 + digits.take(places + 2)
    rows = (track[metas], time[metas], byte.take(places + 1), contents, following)
    found = [
        (owner, now, kind, data[content:end])
        for owner, now, kind, content, end in zip(*(row.tolist() for row in rows), strict=True)
    ]
    channel = (column.take(chosen) for column in (time, track, *columns))
    return Scan(*channel, metas=found, ends=time[last].tolist())


def _among(kinds: Bytes, kept: Collection[int]) -> Bool[np.ndarray, " _"]:
    """Which of the kinds are kept."""
    table = np.zeros(256, np.bool_)
    table[list(kept)] = True
    return table.take(kinds)


def _digits(byte: Bytes) -> Bytes:
    """Bytes of the number that would begin at each place, `MOST_DIGITS` + 1 where they are more."""
    more = byte >> 7
    size = len(byte) - MOST_DIGITS
    going = more[:size]
    digits = going + np.uint8(1)
    for index in range(1, MOST_DIGITS):
        going = going & more[index : size + index]
        digits += going
    return digits


def _following(data: bytes, byte: Bytes, digits: Bytes) -> Places:
    """Where the next event would begin if one began at each place."""
    behind = np.arange(len(byte)) + np.frombuffer(data.translate(_SPANS), np.uint8)
    metas = np.flatnonzero(byte[: -2 * MOST_DIGITS] == META)
    lengths_at = metas + 2
    of_length = digits.take(lengths_at)
    contents = np.where(of_length > MOST_DIGITS, len(byte), lengths_at + of_length)
    behind[metas] = contents + _numbers(byte, of_length, lengths_at)
    return behind.take(np.arange(len(digits)) + digits)


def _chain(following: Places, size: int) -> Places | None:
    """Places from the first byte on, each followed by the next, or None if they run past the end."""
    bounded = np.full(size + 2, size + 1)
    np.minimum(following[:size], size + 1, out=bounded[:size])
    bounded[size] = size
    # From each place on by 1, 2 and 4 events; the end and what lies beyond stay. Going on by more costs more than it
    # saves.
    jumps = [bounded]
    for _ in range(2):
        jumps.append(jumps[-1].take(jumps[-1]))
    far = jumps.pop().data
    anchors, place = [], 0
    while place < size:
        anchors.append(place)
        place = far[place]
    places = np.array(anchors, np.int64)
    for jump in reversed(jumps):
        nearer, places = places, np.empty(2 * len(places), np.int64)
        places[::2], places[1::2] = nearer, jump.take(nearer)
    count = int(np.searchsorted(places, size))
    return places[:count] if place == size else None


def _channel_events(
    byte: Bytes, at: Places, status: Bytes, bounds: Places
) -> tuple[Bytes, Bytes, Bytes] | None:
    """The status in force at each event and the two data bytes of those of channels; None if any is unusual.

    Statuses, or first data bytes of events without one, lie at the places `at`; `bounds` are the indices of the first
    event of each chunk, and the number of events.
    """
    written, channel = status >= 0x80, status < 0xF0
    setting = written & channel
    setting[bounds[:-1]] = True  # nothing is in force there
    setters = np.flatnonzero(setting)
    in_force = np.where(written & channel, status, 0)[setters].repeat(np.diff(setters, append=len(at)))
    first_at = at + written
    first, second = byte.take(first_at), byte.take(first_at + 1)
    single = in_force & 0xE0 == 0xC0
    second[single] = 0
    wrong = (in_force < 0x80) | ((first | second) >= 0x80) | (single & ~written)
    if np.where(channel, wrong, status != META).any():
        return None
    return in_force, first, second


def _numbers(byte: Bytes, digits: Bytes, at: Places) -> Places:
    """Numbers of variable length at places, if they have no more than `MOST_DIGITS` bytes."""
    value = byte.take(at).astype(np.int64) & 0x7F
    for index in range(1, MOST_DIGITS):
        longer = np.flatnonzero(digits > index)
        if not len(longer):
            break
        value[longer] = value[longer] << 7 | byte.take(at[longer] + index) & 0x7F
    return value
