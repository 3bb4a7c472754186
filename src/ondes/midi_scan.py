"""Track chunks of regular MIDI files read at once; whatever is unusual is left to the careful reader.

Every byte is taken for the beginning of an event, and where the next one would begin is computed for all of them
together; the true events are the chain that starts at the first byte.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

LEAST_BYTES, MOST_BYTES = 256, 2**20
"""Chunks that are scanned: in shorter ones it saves nothing, longer ones would need much memory."""

MOST_TICKS = 2**31 - 1
END_OF_TRACK, META = 0x2F, 0xFF

_SPANS = 3 - (np.arange(256) < 0x80) - ((np.arange(256) & 0xE0) == 0xC0)
"""Bytes of a channel event by its first one, which is data where the status runs on."""

Places = Int64[np.ndarray, " _"]


class Scan(NamedTuple):
    """The events of track chunks, one chunk after the other.

    Attributes:
        packed: Channel events: time << 24 | status byte << 16 | first data byte << 8 | second data byte.
        track: Index of the chunk of each of them.
        metas: Chunk, time in ticks, kind and content of the meta events asked for.
        ends: Times of the end marks in ticks.
    """

    packed: Int64[np.ndarray, " events"]
    track: Int64[np.ndarray, " events"]
    metas: list[tuple[int, int, int, bytes]]
    ends: list[int]


def scan_tracks(chunks: Sequence[bytes], kept: Container[int]) -> Scan | None:
    """The events of chunks that all end with their end mark, or None where they have to be read byte by byte.

    None is the answer to system messages, to running status after program changes and channel pressure, and to
    anything that is wrong.

    Args:
        chunks: The contents of the chunks.
        kept: Kinds of meta events to return.
    """
    data = b"".join(chunks)
    size = len(data)
    if not LEAST_BYTES <= size <= MOST_BYTES:
        return None
    # Zeros behind the end, so that a look ahead finds a byte; no event may reach them.
    byte = np.frombuffer(data + bytes(8), np.uint8).astype(np.int64)
    low = _next_low(byte)
    status_at = low[:size] + 1
    status = byte.take(status_at)
    following = status_at + _SPANS.take(status)
    meta_places = np.flatnonzero(status == META)
    lengths, contents = _numbers(byte, low, status_at[meta_places] + 2)
    following[meta_places] = np.where(contents > 0, contents + lengths, size + 1)
    starts = _chain(following, size)
    if starts is None:
        return None
    begins = np.cumsum([0, *map(len, chunks)])
    first = np.searchsorted(starts, begins)
    at, deltas = status_at[starts], _numbers(byte, low, starts)
    if (
        (np.append(starts, size)[first] != begins).any()
        or not np.diff(first).all()
        or (deltas[1] != at).any()
    ):
        return None
    track = np.repeat(np.arange(len(chunks)), np.diff(first))
    total = np.cumsum(deltas[0])
    time = total - np.append(0, total)[first[:-1]][track]
    ends = time[first[1:] - 1]
    chosen = np.flatnonzero(byte[at] == META)
    kinds = byte[at[chosen] + 1]
    packed = _channel_events(byte, at, time, first[track])
    # Every chunk's last event is an end mark, and no other event is.
    if (
        packed is None
        or ends.max() > MOST_TICKS
        or chosen[kinds == END_OF_TRACK].tolist() != (first[1:] - 1).tolist()
    ):
        return None
    content = dict(zip(meta_places.tolist(), contents.tolist(), strict=True))
    rows = (starts[chosen], track[chosen], time[chosen], kinds, following[starts[chosen]])
    metas = [
        (owner, now, kind, data[content[start] : after])
        for start, owner, now, kind, after in zip(*(row.tolist() for row in rows), strict=True)
        if kind in kept
    ]
    channel = packed >= 0
    return Scan(packed[channel], track[channel], metas, ends.tolist())


def _chain(following: Places, size: int) -> Places | None:
    """Places from the first byte on, each followed by the next, or None if they run past the end."""
    bounded = np.empty(len(following) + 2, np.int64)
    np.minimum(following, size + 1, out=bounded[:-2])
    bounded[-2:] = size, size + 1
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
        places = np.stack([places, jump.take(places)], axis=1).ravel()
    count = int(np.searchsorted(places, size))
    return places[:count] if place == size else None


def _channel_events(byte: Places, at: Places, time: Places, first_of_track: Places) -> Places | None:
    """Packed channel events and -1 for meta events; None if any event is unusual.

    Statuses, or first data bytes of events without one, lie at the places `at`.
    """
    status = byte.take(at)
    written = status >= 0x80
    owner = np.maximum.accumulate(np.where(written & (status < 0xF0), np.arange(len(at)), -1))
    in_force = np.where(owner >= first_of_track, status[owner], 0)
    single = (in_force & 0xE0) == 0xC0
    channel = ~written | (status < 0xF0)
    first_at = at + written
    first = byte.take(first_at)
    second = np.where(single, 0, byte.take(first_at + 1))
    wrong = channel & ((in_force == 0) | (first > 0x7F) | (second > 0x7F) | (~written & single))
    if (wrong | (~channel & (status != META))).any():
        return None
    return np.where(channel, time << 24 | in_force << 16 | first << 8 | second, -1)


def _next_low(byte: Places) -> Places:
    """For each byte the place of the first one from there that is below 0x80: where a number ends."""
    place = np.where(byte < 0x80, np.arange(len(byte)), len(byte))
    return np.minimum.accumulate(place[::-1])[::-1]


def _numbers(byte: Places, low: Places, at: Places) -> tuple[Places, Places]:
    """Numbers of variable length at places, and the places behind them; -1 behind those of more than 4 bytes."""
    end = low.take(at)
    extra = end - at
    value = byte.take(at) & 0x7F
    for index in range(1, 4):
        longer = np.flatnonzero(extra >= index)
        if not len(longer):
            break
        value[longer] = value[longer] << 7 | byte[at[longer] + index] & 0x7F
    return value, np.where(extra < 4, end + 1, -1)
