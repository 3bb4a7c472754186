"""An embedding without a network: means and deviations of the package's own log-mels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ondes.evaluation.spectra import log_mel

if TYPE_CHECKING:
    from ondes.audio import Audio

PATCH_FRAMES = 86
"""A second."""
JOINED_BANDS = 4
"""Neighbouring mel bands whose mean is taken."""
QUIETEST = -9.0
"""Softer bands (ln magnitude) count as this soft, so that what nobody hears does not decide."""
USUAL, SPREAD = -6.0, 2.5
"""About the mean and deviation of music (ln magnitude), which become 0 and 1."""


@dataclass(frozen=True)
class MelStatistics:
    """Mean and deviation over a second of 32 bands of the mean of left and right, and mean of their half difference.

    An `Embedding`. Nothing is learnt, so it favours no kind of music; it knows the colour and liveliness of sound, and
    nothing of melody.
    """

    name: str = "log-mel"
    sample_rate_hz: int = 44_100
    dimension: int = 96

    def __call__(self, audio: Audio) -> Float[np.ndarray, "patches 96"]:
        """Vectors of each whole second, of the beginning where there is none."""
        level = (np.maximum(log_mel(audio), QUIETEST) - USUAL) / SPREAD
        bands = level.reshape(2, -1, JOINED_BANDS, level.shape[-1]).mean(axis=2)
        mid, side = bands.mean(axis=0), (bands[0] - bands[1]) / 2
        length = min(PATCH_FRAMES, level.shape[-1])
        starts = range(0, level.shape[-1] - length + 1, length)
        patches = [np.stack([row[:, s : s + length] for row in (mid, side)]) for s in starts]
        return np.stack([np.concatenate([p[0].mean(1), p[0].std(1), p[1].mean(1)]) for p in patches])
