"""Notes as the 901 tokens of the PyTorch port of Spectrogram Diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ondes.notes import Notes
from ondes.representations.event_layout import EventLayout
from ondes.representations.note_events import (
    PITCHES,
    Starts,
    Tokens,
    TokenSegment,
    Writer,
    note_events,
    song_frames,
    write_song,
    write_window,
)

LAYOUT = EventLayout(shifts=514, velocity_bins=1, offset=0)
ALL_PROGRAMS = np.arange(PITCHES)


@dataclass(frozen=True)
class PortCodec:
    """The codec of the PyTorch port: ids 0 to 900, nothing at the end, 0 both padding and a shift of no steps.

    Events come by step of 10 ms, then program, ends before beginnings, pitch, and drums last; programs and velocities
    are written again at each step, so sequences are about half as long again as those of `Mt3Codec`.
    """

    name: ClassVar[str] = "port"
    pad_id: ClassVar[int] = 0
    vocabulary_size: ClassVar[int] = LAYOUT.size

    def encode(
        self, notes: Notes, *, segment_frames: int = 256, limit: int | None = 2048
    ) -> list[TokenSegment]:
        """A song in segments: see `ondes.representations.events.EventCodec.encode`."""
        return write_song(self._writer(notes), song_frames(notes), segment_frames=segment_frames, limit=limit)

    def encode_window(self, notes: Notes, *, start_frame: int, frames: int) -> Tokens:
        """The tokens of one stretch: see `ondes.representations.events.EventCodec.encode_window`."""
        return write_window(self._writer(notes), start_frame, frames)

    def decode(self, segments: Sequence[TokenSegment]) -> Notes:
        """Notes of segments in order: see `ondes.representations.events.EventCodec.decode`."""
        return LAYOUT.read(segments)

    def to_config(self) -> dict[str, Any]:
        """Plain values for `ondes.representations.events.make_codec`."""
        return {"name": self.name}

    def _writer(self, notes: Notes) -> Writer:
        events = note_events(notes, order="step")

        def write(starts: Starts, stop: int) -> list[Tokens]:
            return LAYOUT.write(events, starts, stop, per_step=True, programs=ALL_PROGRAMS, end=False)

        return write
