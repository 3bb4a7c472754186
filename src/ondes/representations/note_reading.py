"""Notes joined again from the beginnings, ends and ties that the tokens of a codec tell of."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from ondes.controls import Controls
from ondes.notes import Notes, Part
from ondes.representations.note_events import STEPS_PER_FRAME, STEPS_PER_SECOND

Key = tuple[int, int]
"""Program and pitch."""

UNTOLD_VELOCITY = 100
"""Of notes whose tokens do not tell it."""


class NoteRow(NamedTuple):
    """A note in steps, as a codec reads it."""

    onset: int
    release: int
    pitch: int
    velocity: int
    program: int
    is_drum: bool


class NoteReader:
    """Collects notes from events in order of time; times in steps from the beginning of the song."""

    def __init__(self) -> None:
        self.rows: list[NoteRow] = []
        self._open: dict[Key, tuple[int, int]] = {}

    def begin(self, key: Key, *, step: int, velocity: int) -> None:
        """A note begins; the same one ends if it still sounds."""
        self.end(key, step=step)
        self._open[key] = (step, velocity)

    def end(self, key: Key, *, step: int) -> None:
        """A note ends; nothing happens if it does not sound."""
        if key in self._open:
            onset, velocity = self._open.pop(key)
            program, pitch = key
            self.rows.append(NoteRow(onset, step, pitch, velocity, program, False))

    def strike(self, pitch: int, *, step: int, velocity: int) -> None:
        """A drum is struck."""
        self.rows.append(NoteRow(step, step, pitch, velocity, 0, True))

    def carry(self, tied: Collection[Key], *, step: int, last: int) -> None:
        """A segment begins in which the tied notes go on.

        Args:
            tied: What goes on; it begins here if it did not sound.
            step: Where the segment begins.
            last: Where the one before ended; what is not tied ends there.
        """
        for key in [key for key in self._open if key not in tied]:
            self.end(key, step=last)
        for key in tied:
            self._open.setdefault(key, (step, UNTOLD_VELOCITY))

    def finish(self, *, frames: int) -> Notes:
        """The notes of a song of that many mel frames; all that sounds ends with it."""
        self.carry((), step=0, last=frames * STEPS_PER_FRAME)
        return notes_from_rows(self.rows, frames=frames)


@functools.cache
def _player(program: int, is_drum: bool) -> Part:
    return Part("Drums" if is_drum else f"Program {program}", program, is_drum, Controls())


def notes_from_rows(rows: Sequence[NoteRow], *, frames: int) -> Notes:
    """Notes of a song of that many frames, one part for each program and one for the drums.

    Notes of no length get one step.
    """
    keys = sorted({(row.is_drum, row.program) for row in rows})
    index = {key: part for part, key in enumerate(keys)}
    rows = sorted(rows, key=lambda row: (row.onset, index[row.is_drum, row.program], row.pitch))
    table = np.array([row[:5] for row in rows], np.int64).reshape(-1, 5)
    onset, release = table[:, 0], np.maximum(table[:, 1], table[:, 0] + 1)
    return Notes(
        onset_s=onset / STEPS_PER_SECOND,
        release_s=release / STEPS_PER_SECOND,
        key_release_s=release / STEPS_PER_SECOND,
        pitch=table[:, 2],
        velocity=table[:, 3],
        program=table[:, 4],
        is_drum=np.array([row.is_drum for row in rows], bool),
        part=np.array([index[row.is_drum, row.program] for row in rows], np.int64),
        parts=tuple(_player(program, is_drum) for is_drum, program in keys),
        duration_s=max(frames * STEPS_PER_FRAME, int(release.max(initial=0))) / STEPS_PER_SECOND,
    )
