"""Can the joins of segments be heard? Spectral flux and sample jumps there, over the same everywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ondes.evaluation.extras import require

if TYPE_CHECKING:
    from ondes.audio import Audio

FRAME_SAMPLES = 1024
HOP_SAMPLES = 256
FLUX_REACH = FRAME_SAMPLES // HOP_SAMPLES
"""Frames to either side of a join whose windows still touch it."""

MAGNITUDE_FLOOR = 1e-4
JUMP_REACH_SAMPLES = 64
JUMP_CONTEXT_SAMPLES = 4096
STEP_FLOOR = 1e-5


@dataclass(frozen=True)
class Contrast:
    """Sums and counts of a measure at joins and elsewhere, so that excerpts can be pooled."""

    at_sum: float
    at_count: int
    elsewhere_sum: float
    elsewhere_count: int

    @property
    def ratio(self) -> float:
        """Mean at joins over mean elsewhere; NaN if there is no join, or nothing elsewhere."""
        return pooled_ratio([self])


def pooled_ratio(contrasts: Iterable[Contrast]) -> float:
    """Mean at the joins of all over the mean elsewhere in all."""
    parts = list(contrasts)
    at_count, elsewhere_count = (sum(p.at_count for p in parts), sum(p.elsewhere_count for p in parts))
    elsewhere_sum = sum(p.elsewhere_sum for p in parts)
    if not at_count or not elsewhere_count or elsewhere_sum <= 0:
        return float("nan")
    return sum(p.at_sum for p in parts) / at_count / (elsewhere_sum / elsewhere_count)


def flux_contrast(audio: Audio, joins_s: np.ndarray) -> Contrast:
    """Largest spectral flux near joins against the same elsewhere.

    Near a join, as everywhere else, the largest of the frames whose windows touch a point is taken.
    """
    points = np.round(np.asarray(joins_s) * audio.sample_rate_hz / HOP_SAMPLES).astype(int)
    return _contrast(spectral_flux(audio), points, FLUX_REACH)


def jump_contrast(audio: Audio, joins_s: np.ndarray) -> Contrast:
    """Largest step from sample to sample, over the mean step around, near joins against elsewhere."""
    points = np.round(np.asarray(joins_s) * audio.sample_rate_hz).astype(int)
    return _contrast(relative_steps(audio), points, JUMP_REACH_SAMPLES)


def spectral_flux(audio: Audio) -> np.ndarray:
    """Mean over bins of how much ln magnitude rises from frame to frame (frames,), channels averaged first.

    Frame k is centred on sample k times `HOP_SAMPLES`.
    """
    mono = np.pad(audio.samples.mean(axis=0), FRAME_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(mono, FRAME_SAMPLES)[::HOP_SAMPLES]
    level = np.log(np.abs(np.fft.rfft(frames * np.hanning(FRAME_SAMPLES))) + MAGNITUDE_FLOOR)
    flux = np.zeros(len(level))
    flux[1:] = np.maximum(np.diff(level, axis=0), 0.0).mean(axis=1)
    return flux


def relative_steps(audio: Audio) -> np.ndarray:
    """The step to each sample from the one before, the largest of all channels, over the mean step around."""
    step = np.zeros(audio.samples.shape[1])
    step[1:] = np.abs(np.diff(audio.samples, axis=1)).max(axis=0)
    around = require("scipy.ndimage").uniform_filter1d(step, JUMP_CONTEXT_SAMPLES, mode="nearest")
    return step / (around + STEP_FLOOR)


def _contrast(measure: np.ndarray, points: np.ndarray, reach: int) -> Contrast:
    """Sliding maxima at the points against sliding maxima that reach no point's neighbourhood."""
    largest = require("scipy.ndimage").maximum_filter1d(measure, 2 * reach + 1, mode="nearest")
    points = points[(points > reach) & (points < len(measure) - reach)]
    elsewhere = np.ones(len(measure), bool)
    elsewhere[: reach + 1] = elsewhere[-reach - 1 :] = False
    for point in points:
        elsewhere[max(0, point - 2 * reach) : point + 2 * reach + 1] = False
    return Contrast(
        float(largest[points].sum()), len(points), float(largest[elsewhere].sum()), int(elsewhere.sum())
    )
