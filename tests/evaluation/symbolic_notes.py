"""Windows of notes for the tests of the figures of written music."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ondes.evaluation.symbolic_windows import NoteWindows, in_common_time
from ondes.representations.note_sequence import DRUMS


def windows_of(
    rows: Sequence[Sequence[float]] | np.ndarray, sources: Sequence[Any] | None = None
) -> NoteWindows:
    """Windows from rows of window, instrument, onset, duration, pitch."""
    window, instrument, onset, duration, pitch = np.asarray(rows, float).reshape(-1, 5).T
    whole = [column.astype(np.int64) for column in (window, pitch, instrument)]
    number = int(whole[0].max(initial=-1)) + 1
    return in_common_time(
        whole[0],
        onset,
        duration,
        whole[1],
        whole[2],
        whole[2] * 4,
        sources=list(range(number)) if sources is None else sources,
    )


def from_tracks(pieces: Sequence[Sequence[Sequence[int]]], *, drum_track: int = 2) -> NoteWindows:
    """Windows from rows of track, onset, duration, pitch, one list a window."""
    rows = [
        [number, DRUMS if track == drum_track else track, onset, duration, pitch]
        for number, piece in enumerate(pieces)
        for track, onset, duration, pitch in piece
    ]
    return windows_of(rows)


def tune(
    window: int, pitches: Sequence[int], *, step: float = 6.0, length: float = 6.0, instrument: int = 0
) -> list[list[float]]:
    """Rows of notes one after another."""
    return [[window, instrument, step * k, length, pitch] for k, pitch in enumerate(pitches)]


SCALE = np.array([60, 62, 64, 65, 67, 69, 71, 72])


def folk(windows: int, seed: int) -> NoteWindows:
    """Tunes of 64 notes in C major, in steps and of eighths and quarters over a slow bass, two from each source."""
    random = np.random.default_rng(seed)
    rows: list[list[Any]] = []
    for window in range(windows):
        lengths = random.choice([12, 12, 12, 24], 64)
        onset = np.cumsum(lengths) - lengths
        degree = np.clip(np.cumsum(random.integers(-2, 3, 64)) % 8, 0, 7)
        rows += [[window, 0, *row] for row in zip(onset, lengths, SCALE[degree], strict=True)]
        rows += [[window, 32, 96 * bar, 96, 36 + 7 * (bar % 2)] for bar in range(int(onset[-1]) // 96 + 1)]
    return windows_of(rows, [f"{seed}, {window // 2}" for window in range(windows)])
