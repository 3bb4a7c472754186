"""Notes as the event tokens of Spectrogram Diffusion, and the codecs a model can be saved with.

All codecs cut a song in segments, 256 mel frames of 20 ms by default. A segment begins with the notes that sound
already (the tie section), so each can be understood alone; what sounds beyond its end is found in the tie section of
the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from ondes.errors import UserError, nearest
from ondes.notes import Notes
from ondes.representations.event_layout import EventLayout
from ondes.representations.note_events import (
    PITCHES,
    Starts,
    Tokens,
    TokenSegment,
    Writer,
    check_bins,
    note_events,
    song_frames,
    write_song,
    write_window,
)

__all__ = [
    "CodecSettings",
    "EventCodec",
    "Mt3Codec",
    "TokenSegment",
    "Tokens",
    "make_codec",
    "pad_tokens",
    "slakh_programs",
    "song_frames",
]

GRANULARITIES = ("flat", "midi_class", "full")
"""Programs written: none, the first of each General MIDI family of eight, all."""

MAX_TOKENS = 2048
"""What the published note encoders read, the end token included."""

SEGMENT_FRAMES = 256
"""5.12 s."""

# fmt: off
SLAKH_PROGRAMS = np.array([
    0, 4, 8, 16, 24, 26, 29, 32, 33, 40, 41, 42, 43, 46, 47, 48, 50, 52, 55, 56, 57, 58, 60, 61, 64, 66, 67, 68, 69,
    70, 71, 73, 80, 88,
])
# fmt: on
"""The first General MIDI program of each of the 34 instrument classes of the Slakh data set."""


@runtime_checkable
class EventCodec(Protocol):
    """Notes to tokens and back."""

    @property
    def name(self) -> str:
        """What `make_codec` knows it by."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Rows of the embedding that a model needs."""
        ...

    @property
    def pad_id(self) -> int:
        """The token that fills up a batch."""
        ...

    def encode(
        self, notes: Notes, *, segment_frames: int = SEGMENT_FRAMES, limit: int | None = MAX_TOKENS
    ) -> list[TokenSegment]:
        """A song in segments.

        They cover the song as long as `Notes.duration_s` says: 5.12 s are one segment and not a second, empty one (as
        the Hugging Face pipeline makes it), a song without notes has silent ones, one of no duration has none.

        Args:
            notes: The song.
            segment_frames: Mel frames in a segment.
            limit: Segments of more tokens are split into shorter ones; None leaves them.

        Raises:
            UserError: If a single frame has more tokens than the limit.
        """
        ...

    def encode_window(self, notes: Notes, *, start_frame: int, frames: int) -> Tokens:
        """The tokens of one stretch; the same as those of a segment that begins and ends there."""
        ...

    def decode(self, segments: Sequence[TokenSegment]) -> Notes:
        """Notes of segments in order, on the grid of 10 ms.

        A tied note that did not sound before begins with its segment; notes that end where they began get 10 ms, and
        so do all drums.

        Raises:
            ValueError: If a token stands for nothing.
        """
        ...

    def to_config(self) -> dict[str, Any]:
        """Plain values from which `make_codec` makes the same codec again."""
        ...


@dataclass(frozen=True)
class Mt3Codec:
    """The codec of the official code and of the published weights: ids 3 to 1390, rows for 1536.

    Gardner et al. (2021), arXiv 2111.03017, as Hawthorne et al. (2022), arXiv 2206.05408, use it. Events come by exact
    time; a shift counts from the beginning of the segment; a program or velocity that repeats within a segment is left
    out; `EOS` (1) ends it. Where a song goes on after its last event, the official code repeats the tie section from
    before that event; this codec ties what really sounds.

    Attributes:
        velocity_bins: Loudnesses told apart; the published models know one.
        granularity: Which programs are written, one of `GRANULARITIES`.
    """

    velocity_bins: int = 1
    granularity: str = "full"
    name: ClassVar[str] = "mt3"
    pad_id: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_bins(self.velocity_bins)
        if self.granularity not in GRANULARITIES:
            raise UserError(
                f"no granularity {self.granularity!r}; {nearest(self.granularity, GRANULARITIES)}"
            )

    @property
    def layout(self) -> EventLayout:
        """Which id stands for what."""
        return EventLayout(shifts=1001, velocity_bins=self.velocity_bins, offset=3)

    @property
    def vocabulary_size(self) -> int:
        """All ids and 100 extra ones, rounded up to a multiple of 128."""
        return -(-(self.layout.size + 100) // 128) * 128

    def encode(
        self, notes: Notes, *, segment_frames: int = SEGMENT_FRAMES, limit: int | None = MAX_TOKENS
    ) -> list[TokenSegment]:
        """A song in segments: see `EventCodec.encode`."""
        return write_song(self._writer(notes), song_frames(notes), segment_frames=segment_frames, limit=limit)

    def encode_window(self, notes: Notes, *, start_frame: int, frames: int) -> Tokens:
        """The tokens of one stretch: see `EventCodec.encode_window`."""
        return write_window(self._writer(notes), start_frame, frames)

    def decode(self, segments: Sequence[TokenSegment]) -> Notes:
        """Notes of segments in order: see `EventCodec.decode`."""
        return self.layout.read(segments)

    def to_config(self) -> dict[str, Any]:
        """Plain values for `make_codec`."""
        return {"name": self.name} | asdict(self)

    def _writer(self, notes: Notes) -> Writer:
        events, layout = note_events(notes, order="time"), self.layout
        all_programs = np.arange(PITCHES)
        programs = {"flat": None, "midi_class": all_programs // 8 * 8, "full": all_programs}[self.granularity]

        def write(starts: Starts, stop: int) -> list[Tokens]:
            return layout.write(events, starts, stop, per_step=False, programs=programs, end=True)

        return write


CodecSettings = dict[str, int | str] | str
"""The name of a codec with its default settings, or `name` and what differs from them, as
`{name: mt3, velocity_bins: 16, granularity: midi_class}`."""


def make_codec(config: str | Mapping[str, Any]) -> EventCodec:
    """The codec that `to_config` described.

    Args:
        config: Its name alone, or `name` and what differs from the codec's defaults.

    Raises:
        UserError: If the name or a field is unknown, or a package that the codec needs is missing.
    """
    from ondes.representations.miditok_events import MidiTokCodec  # noqa: PLC0415
    from ondes.representations.port_events import PortCodec  # noqa: PLC0415

    makers: dict[str, Any] = {codec.name: codec for codec in (Mt3Codec, PortCodec, MidiTokCodec)}
    settings = {"name": config} if isinstance(config, str) else dict(config)
    name = str(settings.pop("name", ""))
    if name not in makers:
        raise UserError(f"no token codec {name!r}; {nearest(name, makers)}")
    allowed = makers[name].__dataclass_fields__
    for key in settings:
        if key not in allowed:
            raise UserError(f"the token codec {name!r} has no field {key!r}; {nearest(key, allowed)}")
    return makers[name](**settings)


def pad_tokens(
    tokens: Sequence[Tokens], *, length: int | None, pad_id: int = 0
) -> Int64[np.ndarray, "batch length"]:
    """Token sequences in one array, filled up at their ends.

    Args:
        tokens: One sequence an example.
        length: Columns, or None for as many as the longest has.
        pad_id: What to fill up with.

    Raises:
        ValueError: If a sequence is longer than `length`: nothing is cut silently.
    """
    longest = max((len(row) for row in tokens), default=0)
    if length is not None and longest > length:
        raise ValueError(f"{longest} tokens do not fit in {length}; encode with limit={length}")
    batch = np.full((len(tokens), longest if length is None else length), pad_id, np.int64)
    for row, sequence in zip(batch, tokens, strict=True):
        row[: len(sequence)] = sequence
    return batch


def slakh_programs(notes: Notes) -> Notes:
    """Notes whose programs are floored to the classes the published models know; drums stay.

    Side effects are theirs: pizzicato strings (45) become a contrabass, the piccolo (72) a clarinet, all from 89 a
    synth pad.
    """

    def floor(program: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        return SLAKH_PROGRAMS[np.searchsorted(SLAKH_PROGRAMS, program, side="right") - 1]

    parts = tuple(
        part if part.is_drum else replace(part, program=int(floor(np.array([part.program]))[0]))
        for part in notes.parts
    )
    return replace(notes, program=np.where(notes.is_drum, notes.program, floor(notes.program)), parts=parts)
