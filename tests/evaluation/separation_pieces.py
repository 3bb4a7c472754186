"""Small pieces for the tests of the figures of separations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ondes.representations.bar_table import STEPS_PER_QUARTER, BarTable
from ondes.representations.note_sequence import NoteSequence

BAR_QUARTERS = 4


def piece(rows: Sequence[Sequence[float]]) -> NoteSequence:
    """A piece from rows of onset and duration in quarter notes, pitch, instrument and number of the part."""
    onset, duration, pitch, instrument, number = np.asarray(rows, float).reshape(-1, 5).T
    steps = np.round(onset * STEPS_PER_QUARTER).astype(np.int64)
    bar, position = np.divmod(steps, BAR_QUARTERS * STEPS_PER_QUARTER)
    nothing = np.zeros(len(steps), np.int64)
    return NoteSequence(
        bar=bar,
        position=position,
        offset=nothing,
        pitch=pitch.astype(np.int64),
        duration_steps=np.round(duration * STEPS_PER_QUARTER).astype(np.int64),
        velocity=nothing,
        instrument=instrument.astype(np.int64),
        part_number=number.astype(np.int64),
        track=nothing,
        index=nothing,
        bars=BarTable.constant(int(bar.max(initial=0)) + 2),
    ).sorted()
