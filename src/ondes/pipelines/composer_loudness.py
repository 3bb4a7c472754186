"""Loudness of new notes where the network knows nothing about it.

Most scores are engraved: their velocities say nothing, so that a network learns them from few pieces of few styles.
Where it was not asked for one of those, and where a given score has one velocity throughout, new notes are shaped by
rules instead (`ondes.representations.expression`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ondes.pipelines.composer_windows import joined
from ondes.representations.expression import MEAN_VELOCITY, shaped
from ondes.representations.note_sequence import NoteSequence


def with_loudness(
    new: NoteSequence, around: NoteSequence | None = None, *, seed: int, mean_velocity: int = MEAN_VELOCITY
) -> NoteSequence:
    """New notes with velocities by the rules, whatever they had.

    Args:
        new: Sorted; comes back in the same order.
        around: Notes of the same piece, which decide with the new ones what is melody and where phrases end.
        seed: Of the piece.
        mean_velocity: In the middle of the levels of the new notes.
    """
    if not len(new):
        return new
    # The place of each note in what is shaped: joining sorts, so the index carries the way back.
    marked = replace(new, velocity=np.zeros_like(new.velocity), index=-1 - np.arange(len(new)))
    if around is not None:
        known = replace(around, velocity=np.full_like(around.velocity, mean_velocity))
        marked = joined(replace(known, index=np.zeros_like(known.index)), marked)
    loud = shaped(marked, seed=seed, mean_velocity=mean_velocity)
    own = loud.index < 0
    velocity = np.empty_like(new.velocity)
    velocity[-1 - loud.index[own]] = loud.velocity[own]
    return replace(new, velocity=velocity)
