"""Notes as piano rolls at a frame rate: which of 88 keys begin, and which sound."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ondes.notes import Notes

LOWEST_PITCH = 21
KEYS = 88


def to_rolls(
    notes: Notes, *, start_frame: int, frames: int, frames_per_second: float
) -> tuple[Float[Tensor, "frames 88"], Float[Tensor, "frames 88"]]:
    """Beginnings and sounding notes of a window, 1 or 0; drums and pitches off a piano are left out.

    A note begins in the frame that holds its onset, and sounds in every frame that it reaches into.

    Args:
        notes: Of the whole piece.
        start_frame: First frame of the window.
        frames: Length of the window.
        frames_per_second: Frame rate.
    """
    key = notes.pitch - LOWEST_PITCH
    kept = notes.select((key >= 0) & (key < KEYS) & ~notes.is_drum)
    begin = np.floor(kept.onset_s * frames_per_second + 1e-6).astype(np.int64) - start_frame
    end = np.ceil(kept.release_s * frames_per_second - 1e-6).astype(np.int64) - start_frame
    onsets, sounding = torch.zeros(frames, KEYS), torch.zeros(frames, KEYS)
    for first, last, pitch in zip(begin.tolist(), end.tolist(), kept.pitch.tolist(), strict=True):
        if 0 <= first < frames:
            onsets[first, pitch - LOWEST_PITCH] = 1.0
        sounding[max(first, 0) : max(last, first + 1, 0), pitch - LOWEST_PITCH] = 1.0
    return onsets, sounding
