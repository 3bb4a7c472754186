"""Notes for tests, without a score to read them from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ondes.controls import Controls
from ondes.notes import Notes, Part

Row = tuple[float, float, int, int, int]
"""Onset and release in seconds, pitch, velocity, part."""


def plain_notes(
    rows: Sequence[Row], *, parts: Sequence[Part] | None = None, duration_s: float | None = None
) -> Notes:
    """Notes of parts that are all pianos unless given."""
    rows = sorted(rows, key=lambda row: (row[0], row[4], row[2]))
    count = max((row[4] for row in rows), default=0) + 1
    players = tuple(parts or (Part(f"Piano {index}", 0, False, Controls()) for index in range(count)))
    table = np.array(rows, np.float64).reshape(-1, 5)
    part = table[:, 4].astype(np.int64)
    return Notes(
        onset_s=table[:, 0],
        release_s=table[:, 1],
        key_release_s=table[:, 1],
        pitch=table[:, 2].astype(np.int64),
        velocity=table[:, 3].astype(np.int64),
        program=np.array([players[index].program for index in part], np.int64),
        is_drum=np.array([players[index].is_drum for index in part], bool),
        part=part,
        parts=players,
        duration_s=float(table[:, 1].max(initial=0.0)) if duration_s is None else duration_s,
    )
