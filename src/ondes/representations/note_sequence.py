"""Notes placed in bars: what the composers read and write.

A score becomes one row a note, in the order in which it would be written down: bar, place in the bar, instrument, part,
pitch. Times follow the file's own ticks and metres; tempo matters only for the table of bars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.representations.bar_table import STEPS_PER_QUARTER, BarTable, reach_ticks

if TYPE_CHECKING:
    import symusic.core

__all__ = [
    "DRUMS",
    "FINE_PER_STEP",
    "PARTS",
    "STEPS_PER_QUARTER",
    "BarTable",
    "NoteSequence",
    "from_note_sequence",
    "quantised",
    "to_note_sequence",
]

FINE_PER_STEP = 20
"""Offsets from the grid are counted in twentieths of a step: 480 to a quarter note."""
FINE_PER_QUARTER = STEPS_PER_QUARTER * FINE_PER_STEP

DRUMS = 128
"""The instrument of every drum part; the others are their General MIDI programs."""
PARTS = 4
"""Parts of one instrument that are told apart."""

FLAT_VELOCITIES = 2
"""A score with so few different velocities says nothing about loudness."""
PLAIN_VELOCITY = 80
"""Of notes whose loudness is unknown."""

_COLUMNS = ("bar", "position", "offset", "pitch", "duration_steps", "velocity", "instrument", "part_number")


@runtime_checkable
class WrittenKey(Protocol):
    """What a key signature is made from, as `ondes.representations.keys.Key` has it."""

    @property
    def tonic(self) -> int:
        """Pitch class, 0 for C."""
        ...

    @property
    def mode(self) -> str:
        """`major` or `minor`."""
        ...


@dataclass(frozen=True, eq=False)
class NoteSequence:
    """Notes as arrays (notes,), sorted by bar, position, instrument, part and pitch.

    Args:
        bar: Index into `bars`.
        position: Steps from the beginning of the bar, rounded to the grid; a note that is rounded up to the next bar
            is the next bar's.
        offset: What rounding took away, in twentieths of a step, -10 to 9; 0 where quantised.
        pitch: 0 to 127; for drums the General MIDI drum.
        duration_steps: Length in steps as written, pedals left aside: whole numbers from 1 where quantised, otherwise
            twentieths from 1/20.
        velocity: 1 to 127, or 0 for unknown.
        instrument: General MIDI program, or `DRUMS`.
        part_number: Which of several parts of the instrument, in the order of the score, at most `PARTS` - 1.
        track: Index of the score's track.
        index: Of the note in that track; -1 for notes that are not from a score.
        bars: The bars.
    """

    bar: Int64[np.ndarray, " notes"]
    position: Int64[np.ndarray, " notes"]
    offset: Int64[np.ndarray, " notes"]
    pitch: Int64[np.ndarray, " notes"]
    duration_steps: Int64[np.ndarray, " notes"] | Float64[np.ndarray, " notes"]
    velocity: Int64[np.ndarray, " notes"]
    instrument: Int64[np.ndarray, " notes"]
    part_number: Int64[np.ndarray, " notes"]
    track: Int64[np.ndarray, " notes"]
    index: Int64[np.ndarray, " notes"]
    bars: BarTable

    def __len__(self) -> int:
        return len(self.bar)

    @property
    def onset_quarters(self) -> Float64[np.ndarray, " notes"]:
        """Beginnings in quarter notes from the beginning of the piece."""
        fine = self.position * FINE_PER_STEP + self.offset
        return self.bars.start_quarters[self.bar] + fine / FINE_PER_QUARTER

    @property
    def duration_quarters(self) -> Float64[np.ndarray, " notes"]:
        """Lengths in quarter notes."""
        return self.duration_steps / STEPS_PER_QUARTER

    def select(self, mask: Bool[np.ndarray, " notes"] | Int64[np.ndarray, " chosen"]) -> NoteSequence:
        """The chosen notes over the same bars.

        Args:
            mask: One truth value a note, or indices, which also put the notes in another order.
        """
        return replace(self, **{name: column[mask] for name, column in vars(self).items() if name != "bars"})

    def sorted(self) -> NoteSequence:
        """The notes in their order; those that agree in it stay as they are."""
        columns = (self.bar, self.position, self.instrument, self.part_number, self.pitch)
        # One number for all, several times faster than np.lexsort; bars come in order in most scores.
        place = np.zeros(len(self), np.int64)
        for column in columns:
            place = place * (int(column.max(initial=0)) + 1) + column
        return self.select(np.argsort(place, kind="stable"))

    def window(self, start_bar: int, end_bar: int) -> NoteSequence:
        """The notes that begin from one bar up to before another, with bars counted from the first.

        Tracks and indices stay those of the score.
        """
        first, last = np.searchsorted(self.bar, [start_bar, end_bar])
        inside = self.select(np.arange(first, last))
        return replace(inside, bar=inside.bar - start_bar, bars=self.bars.window(start_bar, end_bar))

    def transposed(self, semitones: int) -> NoteSequence:
        """The same higher or lower; drums stay, and notes that would leave 0 to 127 move by octaves."""
        pitch = np.where(self.instrument == DRUMS, self.pitch, self.pitch + semitones)
        pitch = np.where(pitch < 0, pitch % 12, pitch)
        pitch = np.where(pitch > 127, 116 + (pitch - 116) % 12, pitch)
        return replace(self, pitch=pitch).sorted()


def to_note_sequence(score: symusic.core.ScoreTick, *, quantise: bool = True) -> NoteSequence:
    """The notes of a score in their bars.

    Args:
        score: A score in ticks, as `read_score` gives it. Every note of every track gives one row.
        quantise: Round onsets and durations to the grid; otherwise to 1/480 of a quarter note.

    Raises:
        UserError: If the score has more bars than `BarTable` allows.
    """
    tables = [np.zeros((0, 4), np.int64)]
    about: list[tuple[int, int, int, int]] = []
    parts: dict[int, int] = {}
    for number, track in enumerate(score.tracks):
        notes = track.notes.numpy()
        count = len(notes["time"])
        if not count:
            continue
        instrument = DRUMS if track.is_drum else int(track.program)
        part = parts.get(instrument, 0)
        parts[instrument] = part + 1
        about.append((count, instrument, min(part, PARTS - 1), number))
        tables.append(
            np.stack([notes[name] for name in ("time", "duration", "pitch", "velocity")], 1).astype(np.int64)
        )
    onset, duration, pitch, velocity = np.ascontiguousarray(np.concatenate(tables).T)
    bars = BarTable.of(score, end_ticks=reach_ticks(onset, duration, score.ticks_per_quarter))
    counts, instrument, part_number, track_number = np.array(about, np.int64).reshape(-1, 4).T
    bar, position, offset = placed(bars, onset / score.ticks_per_quarter)
    index = np.arange(len(onset)) - np.repeat(np.cumsum(counts) - counts, counts)
    duration_fine = np.maximum(_rounded(duration / score.ticks_per_quarter * FINE_PER_QUARTER), 1)
    sequence = NoteSequence(
        bar=bar,
        position=position,
        offset=offset,
        pitch=pitch,
        duration_steps=duration_fine / FINE_PER_STEP,
        velocity=velocity if np.count_nonzero(np.bincount(velocity)) > FLAT_VELOCITIES else velocity * 0,
        instrument=np.repeat(instrument, counts),
        part_number=np.repeat(part_number, counts),
        track=np.repeat(track_number, counts),
        index=index,
        bars=bars,
    ).sorted()
    return quantised(sequence) if quantise else sequence


def placed(
    bars: BarTable, onset_quarters: Float64[np.ndarray, " notes"]
) -> tuple[Int64[np.ndarray, " notes"], Int64[np.ndarray, " notes"], Int64[np.ndarray, " notes"]]:
    """Bar, position and offset of onsets: the next bar's where they are rounded up to it.

    Args:
        bars: As many as the onsets need.
        onset_quarters: From the beginning of the piece.
    """
    bar = np.maximum(np.searchsorted(bars.start_quarters, onset_quarters, side="right") - 1, 0)
    fine = _rounded((onset_quarters - bars.start_quarters[bar]) * FINE_PER_QUARTER)
    position = (fine + FINE_PER_STEP // 2) // FINE_PER_STEP
    up = (position >= bars.length_quarters[bar] * STEPS_PER_QUARTER - 1e-6) & (bar + 1 < len(bars))
    bar = bar + up
    later = _rounded((onset_quarters - bars.start_quarters[bar]) * FINE_PER_QUARTER)
    fine = np.where(up, np.maximum(later, -(FINE_PER_STEP // 2)), fine)
    position = np.where(up, 0, position)
    return bar, position, fine - position * FINE_PER_STEP


def _rounded(values: Float64[np.ndarray, " notes"]) -> Int64[np.ndarray, " notes"]:
    """The nearest whole numbers, halves upwards."""
    return np.floor(values + 0.5).astype(np.int64)


def quantised(sequence: NoteSequence) -> NoteSequence:
    """The same on the grid: without offsets, lengths rounded to whole steps from 1 on."""
    fine = _rounded(np.asarray(sequence.duration_steps, np.float64) * FINE_PER_STEP)
    steps = np.maximum((fine + FINE_PER_STEP // 2) // FINE_PER_STEP, 1)
    return replace(sequence, offset=np.zeros_like(sequence.offset), duration_steps=steps)


def from_note_sequence(
    sequence: NoteSequence,
    *,
    names: Mapping[tuple[int, int], str] | None = None,
    key: WrittenKey | None = None,
) -> symusic.core.ScoreTick:
    """A score of the notes at 480 ticks a quarter note, with metres and tempos.

    There is one track for each instrument and part number, in their order; notes of unknown velocity get
    `PLAIN_VELOCITY`. Tempos are exact to a microsecond a quarter note.

    Args:
        sequence: The notes, in any order.
        names: Of the tracks, by instrument and part number.
        key: Written as the key signature.
    """
    from symusic.core import KeySignatureTick, NoteTickList, ScoreTick, TrackTick  # noqa: PLC0415

    score = ScoreTick(FINE_PER_QUARTER)
    _write_bars(sequence.bars, score)
    if key is not None:
        score.key_signatures.append(KeySignatureTick(0, *_signature(key)))
    onset = _rounded(sequence.onset_quarters * FINE_PER_QUARTER)
    duration = np.maximum(_rounded(np.asarray(sequence.duration_steps, np.float64) * FINE_PER_STEP), 1)
    velocity = np.where(sequence.velocity > 0, sequence.velocity, PLAIN_VELOCITY)
    columns = np.stack([onset, duration, sequence.pitch, velocity])
    part = sequence.instrument * PARTS + sequence.part_number
    for number in np.unique(part).tolist():
        instrument, part_number = divmod(number, PARTS)
        is_drum = instrument == DRUMS
        name = (names or {}).get((instrument, part_number), "")
        track = TrackTick(name, 0 if is_drum else instrument, is_drum)
        own = columns[:, part == number]
        times, durations, pitches, velocities = own[:, np.argsort(own[0], kind="stable")]
        track.notes = NoteTickList.from_numpy(
            times.astype(np.int32),
            durations.astype(np.int32),
            pitches.astype(np.int8),
            velocities.astype(np.int8),
        )
        score.tracks.append(track)
    return score


def _write_bars(bars: BarTable, score: symusic.core.ScoreTick) -> None:
    """Write a metre wherever bars do not go on as before, and each change of tempo."""
    from symusic.core import TempoTick, TimeSignatureTick  # noqa: PLC0415

    ticks = _rounded(bars.start_quarters * FINE_PER_QUARTER)
    full = 4 * bars.numerator / bars.denominator
    metres = np.stack([bars.numerator, bars.denominator, bars.length_quarters - full])
    # A bar that was cut off, or stretched to take in a short one, is followed by its metre again.
    same = (metres[:2, 1:] == metres[:2, :-1]).all(axis=0) & (np.abs(metres[2, :-1]) < 1e-6)
    for bar in np.flatnonzero(np.append(True, ~same)[: len(bars)]).tolist():
        numerator, denominator = bars.numerator.item(bar), bars.denominator.item(bar)
        score.time_signatures.append(TimeSignatureTick(ticks.item(bar), numerator, denominator))
    quarter_us = np.round(60e6 / bars.bpm).astype(np.int64)
    for bar in np.flatnonzero(np.append(True, np.diff(quarter_us) != 0)[: len(bars)]).tolist():
        score.tempos.append(TempoTick(ticks.item(bar), mspq=quarter_us.item(bar)))


def _signature(key: WrittenKey) -> tuple[int, int]:
    """Sharps (negative: flats) and 1 for minor; of F sharp and G flat the one with sharps."""
    minor = key.mode == "minor"
    tonic = key.tonic + 3 if minor else key.tonic
    return (7 * tonic + 5) % 12 - 5, int(minor)
