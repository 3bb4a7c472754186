"""Notes laid out on MIDI channels, so that a SoundFont player sounds exactly them and nothing is stolen."""

from __future__ import annotations

import heapq
import struct
from dataclasses import dataclass, field

import numpy as np

from ondes.controls import EXPRESSION, PAN, VOLUME, Steps
from ondes.score import Notes, Part

TICKS_PER_SECOND = 32_000
"""Clock of the files written here: one quarter note of 32 000 ticks lasts one second."""

DRUM_CHANNEL = 9
MELODIC_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)

RELEASE_ALLOWANCE_S = 0.5
"""A voice counts as busy for so long after its note ended."""

Event = tuple[int, int, bytes]
"""Tick, rank within the tick (controls, note ends, note starts), message."""


@dataclass
class Layer:
    """Notes that one pass of the player can sound together: at most 16 channels and `polyphony` voices."""

    polyphony: int
    channels: dict[int, int] = field(default_factory=dict)
    indices: list[int] = field(default_factory=list)
    _ends: list[float] = field(default_factory=list)
    _busy_until: dict[tuple[int, int], float] = field(default_factory=dict)

    def take(
        self, index: int, *, part: int, is_drum: bool, pitch: int, onset_s: float, release_s: float
    ) -> bool:
        """Accept a note unless a channel, a voice or its own key is wanting.

        Notes are offered in order of onset.
        """
        while self._ends and self._ends[0] <= onset_s:
            heapq.heappop(self._ends)
        if len(self._ends) >= self.polyphony or self._busy_until.get((part, pitch), -1.0) > onset_s:
            return False
        if part not in self.channels:
            free = (DRUM_CHANNEL,) if is_drum else MELODIC_CHANNELS
            free = [channel for channel in free if channel not in self.channels.values()]
            if not free:
                return False
            self.channels[part] = free[0]
        heapq.heappush(self._ends, release_s + RELEASE_ALLOWANCE_S)
        self._busy_until[part, pitch] = release_s
        self.indices.append(index)
        return True


def to_layers(notes: Notes, *, polyphony: int) -> list[Layer]:
    """Distribute notes over as few passes of a player as a greedy walk in time finds.

    A part keeps one channel within a pass. Two notes of one part and pitch that overlap go to different
    passes: on one channel the end of the first would end both. Audio of the passes is to be added.

    Args:
        notes: What to play.
        polyphony: Notes that may sound (or be within `RELEASE_ALLOWANCE_S` of their end) at a time.
    """
    layers: list[Layer] = []
    names = ("part", "is_drum", "pitch", "onset_s", "release_s")
    rows = zip(*(getattr(notes, name).tolist() for name in names), strict=True)
    for index, row in enumerate(rows):
        note = dict(zip(names, row, strict=True))
        if not any(layer.take(index, **note) for layer in layers):
            layers.append(Layer(polyphony))
            layers[-1].take(index, **note)
    return layers


def to_midi_file(
    notes: Notes, layer: Layer, *, duration_s: float, volume_divisor: int = 1, reverb_send: int = 0
) -> bytes:
    """A Standard MIDI File (format 0) that plays one layer.

    Pedals are already part of the notes' ends, so no CC64 or CC66 is written. The last event, a controller
    nobody listens to, stands at `duration_s`: players stop at the last event.

    Args:
        notes: All notes; the layer says which of them are meant.
        layer: Indices of notes and the channel of each part.
        duration_s: Where the file ends.
        volume_divisor: Divides CC7 of every channel; its gain is 40 log10(value / 127) decibels, so 2 takes
            off 12 dB.
        reverb_send: CC91 of every channel. The chorus send, CC93, is 0.
    """
    events: list[Event] = []
    for part, channel in layer.channels.items():
        events += _part_events(channel, notes.parts[part], volume_divisor, reverb_send)
    for index in layer.indices:
        channel = layer.channels[int(notes.part[index])]
        pitch, velocity = int(notes.pitch[index]), int(notes.velocity[index])
        events.append((_ticks(notes.onset_s[index]), 2, bytes((0x90 | channel, pitch, velocity))))
        events.append((_ticks(notes.release_s[index]), 1, bytes((0x80 | channel, pitch, 0))))
    events.append((_ticks(duration_s), 3, bytes((0xB0, 3, 0))))
    return _serialise(sorted(events, key=lambda event: event[:2]))


def _part_events(channel: int, part: Part, volume_divisor: int, reverb_send: int) -> list[Event]:
    """Program, sends and bend range, and then volume, expression, pan and bend as they change."""
    controls = part.controls
    bend_range = int(np.clip(np.ceil(np.abs(controls.bend.values).max(initial=0.0)), 2, 24))
    messages = [bytes((0xC0 | channel, 0 if part.is_drum else part.program))]
    settings = ((91, reverb_send), (93, 0), (101, 0), (100, 0), (6, bend_range), (38, 0))
    messages += [_control(channel, number, value) for number, value in settings]
    events: list[Event] = [(0, 0, message) for message in messages]

    for number, steps, divisor in (
        (VOLUME, controls.volume, volume_divisor),
        (EXPRESSION, controls.expression, 1),
        (PAN, controls.pan_position, 1),
    ):
        for tick, value in _changes(steps):
            events.append((tick, 0, _control(channel, number, int(np.clip(round(value / divisor), 0, 127)))))
    for tick, value in _changes(controls.bend):
        wheel = int(np.clip(round(8192 + 8192 * value / bend_range), 0, 16383))
        events.append((tick, 0, bytes((0xE0 | channel, wheel & 0x7F, wheel >> 7))))
    return events


def _changes(steps: Steps) -> list[tuple[int, float]]:
    """Tick and value at the start of the piece and at each change after it."""
    times_s = np.concatenate([[0.0], steps.times_s[steps.times_s > 0]])
    return [(_ticks(time_s), float(value)) for time_s, value in zip(times_s, steps(times_s), strict=True)]


def _ticks(time_s: float) -> int:
    return round(float(time_s) * TICKS_PER_SECOND)


def _control(channel: int, number: int, value: int) -> bytes:
    return bytes((0xB0 | channel, number, value))


def _serialise(events: list[Event]) -> bytes:
    """Format 0 file with one track; the tempo is one quarter note a second."""
    track = bytearray(b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big"))
    now = 0
    for tick, _, message in events:
        track += _variable_length(tick - now) + message
        now = tick
    track += b"\x00\xff\x2f\x00"
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, TICKS_PER_SECOND)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + bytes(track)


def _variable_length(number: int) -> bytes:
    """Seven bits a byte, the highest first, all but the last with the top bit set."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes(reversed(groups))
