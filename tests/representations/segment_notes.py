"""Notes that the tests of the event codecs share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies

from ondes.controls import Controls
from ondes.notes import Notes, Part
from ondes.representations.events import TokenSegment
from plain_notes import plain_notes  # pyright: ignore[reportMissingImports]

PARTS = [
    Part("Piano", 0, False, Controls()),
    Part("Violin", 40, False, Controls()),
    Part("Drums", 0, True, Controls()),
]

GOLDEN = plain_notes(
    [
        (0.0, 1.0, 60, 90, 0),
        (0.5, 1.0, 64, 90, 0),
        (4.0, 6.0, 67, 90, 0),
        (0.5, 5.5, 72, 90, 1),
        (0.0, 0.1, 36, 90, 2),
        (1.0, 1.1, 38, 90, 2),
        (5.2, 5.3, 36, 90, 2),
    ],
    parts=PARTS,
)
"""The song of which the Hugging Face pipeline and the port gave the golden tokens."""

Row = tuple[int, int, int, int, bool]
"""Onset and release in steps, pitch, program, drum."""


def rows_of(notes: Notes) -> list[Row]:
    """The notes on the grid of 10 ms, in order."""
    onset, release = np.rint(notes.onset_s * 100).astype(int), np.rint(notes.release_s * 100).astype(int)
    columns = (onset, release, notes.pitch, notes.program, notes.is_drum)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def texts(segments: Sequence[TokenSegment]) -> list[str]:
    """Tokens of the segments as words."""
    return [" ".join(map(str, segment.tokens)) for segment in segments]


@strategies.composite
def grid_rows(draw: strategies.DrawFn) -> list[tuple[float, float, int, int, int]]:
    """Rows for `plain_notes` on the grid, none overlapping another of its pitch and part; drums last 10 ms."""
    drawn = draw(
        strategies.lists(
            strategies.tuples(
                strategies.integers(0, 1200),
                strategies.integers(1, 1300),
                strategies.integers(58, 62),
                strategies.integers(1, 127),
                strategies.integers(0, 2),
            ),
            max_size=25,
        )
    )
    free: dict[tuple[int, int], int] = {}
    rows: list[tuple[float, float, int, int, int]] = []
    for onset, length, pitch, velocity, part in sorted(drawn):
        begin = max(onset, free.get((pitch, part), 0))
        end = begin + (1 if part == 2 else length)
        free[pitch, part] = end
        rows.append((begin / 100, end / 100, pitch, velocity, part))
    return rows
