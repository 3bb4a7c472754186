"""How much of a stream can be heard when so much of it is made."""

from __future__ import annotations

from ondes.models.vocoder import BLOCK_FRAMES
from ondes.pipelines.limiter import Limiter
from ondes.representations.mel import MEL

REACH_FRAMES = 27
"""Frames after a block that vocoder-small must see to decode it."""

DELAY_FRAMES = -(-(MEL.edge_samples + Limiter().margin) // MEL.hop_samples)
"""Frames that overlapping transforms and the limiter hold back."""


def heard_frames(made: int) -> int:
    """Frames of sound that a stream has given out when so many frames of log-mel are made, but not the last.

    They are those of vocoder-small whatever the vocoder, so that the vocoder does not change what is played. A vocoder
    of longer blocks gives its sound out later.
    """
    decoded = max(0, made - REACH_FRAMES) // BLOCK_FRAMES * BLOCK_FRAMES
    return max(0, decoded - DELAY_FRAMES)
