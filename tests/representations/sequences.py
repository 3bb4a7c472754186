"""Random notes on the grid for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from symusic.core import NoteTick, ScoreTick, TempoTick, TimeSignatureTick, TrackTick

from ondes.representations.bar_table import BarTable
from ondes.representations.note_sequence import DRUMS, NoteSequence
from ondes.representations.note_tokens import DURATION_STEPS

METRES = ((4, 4), (3, 4), (2, 2), (6, 8), (5, 8), (12, 8), (7, 4))


def sequence_of(rows: list[tuple[int, int, int, int, int, int, int]], bars: BarTable) -> NoteSequence:
    """Sorted notes from rows of bar, position, pitch, duration, velocity, instrument and part number."""
    table = np.array(rows, np.int64).reshape(-1, 7)
    bar, position, pitch, duration, velocity, instrument, part_number = table.T
    none = np.full(len(table), -1)
    return NoteSequence(
        bar=bar,
        position=position,
        offset=np.zeros(len(table), np.int64),
        pitch=pitch,
        duration_steps=duration,
        velocity=velocity,
        instrument=instrument,
        part_number=part_number,
        track=none,
        index=none,
        bars=bars,
    ).sorted()


@st.composite
def grid_sequences(draw: st.DrawFn) -> NoteSequence:
    """Up to 12 notes with lengths and velocities that have a class, at most 7 bars apart."""
    numerator, denominator = draw(st.sampled_from(METRES))
    steps = 96 * numerator // denominator
    bars = draw(st.integers(1, 8))
    row = st.tuples(
        st.integers(0, bars - 1),
        st.integers(0, steps - 1),
        st.integers(0, 127),
        st.sampled_from(DURATION_STEPS.tolist()),
        st.integers(0, 15).map(lambda velocity: 8 * velocity + 4),
        st.sampled_from([0, 40, 73, DRUMS]),
        st.integers(0, 3),
    )
    table = BarTable.constant(bars, numerator=numerator, denominator=denominator, bpm=90)
    return sequence_of(draw(st.lists(row, max_size=12)), table)


def score_of(
    notes: list[tuple[int, int, int, int]],
    *,
    ticks_per_quarter: int = 480,
    metres: tuple[tuple[int, int, int], ...] = (),
    tempos: tuple[tuple[int, int], ...] = (),
    program: int = 0,
    is_drum: bool = False,
) -> ScoreTick:
    """A score of one track from rows of onset, duration, pitch and velocity in ticks.

    Metres are rows of tick, numerator and denominator; tempos of tick and microseconds a quarter note.
    """
    score = ScoreTick(ticks_per_quarter)
    for metre in metres:
        score.time_signatures.append(TimeSignatureTick(*metre))
    for time, quarter_us in tempos:
        score.tempos.append(TempoTick(time, mspq=quarter_us))
    track = TrackTick("", program, is_drum)
    for note in notes:
        track.notes.append(NoteTick(*note))
    score.tracks.append(track)
    return score
