"""Notes and scores for the tests of the metrics."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from ondes.controls import Controls
from ondes.score import Notes, Part


def notes_from(
    onset_s: Sequence[float] | np.ndarray,
    pitch: Sequence[int] | np.ndarray,
    *,
    length_s: float = 0.3,
    is_drum: Sequence[bool] | None = None,
    program: int = 0,
    velocity: int = 80,
) -> Notes:
    """Notes of one part, or of a pitched part and drums."""
    order = np.argsort(onset_s, kind="stable")
    onsets, pitches = np.asarray(onset_s, float)[order], np.asarray(pitch, np.int64)[order]
    drums = np.zeros(len(onsets), bool) if is_drum is None else np.asarray(is_drum, bool)[order]
    parts = [Part("tune", program, False, Controls())]
    if drums.any():
        parts.append(Part("drums", 0, True, Controls()))
    return Notes(
        onset_s=onsets,
        release_s=onsets + length_s,
        key_release_s=onsets + length_s,
        pitch=pitches,
        velocity=np.full(len(onsets), velocity, np.int64),
        program=np.where(drums, 0, program).astype(np.int64),
        is_drum=drums,
        part=drums.astype(np.int64),
        parts=tuple(parts),
        duration_s=float(onsets.max(initial=0.0) + length_s),
    )


@pytest.fixture(scope="session")
def make_notes() -> Callable[..., Notes]:
    return notes_from
