"""Loudness, true peak and the likeness of left and right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from ondes.evaluation.extras import require

if TYPE_CHECKING:
    from ondes.audio import Audio

GATING_BLOCK_S = 0.4
OVERSAMPLING = 4
COHERENCE_SAMPLES = 2048
AUDIBLE_RANGE = 1e-8
"""Frequencies more than 80 dB below the loudest hold little but rounding; they take no part in coherence."""


def loudness_lufs(audio: Audio) -> float:
    """Integrated loudness by ITU-R BS.1770-4 (pyloudnorm); -inf of silence or of less than 0.4 s."""
    if audio.duration_s < GATING_BLOCK_S:
        return float("-inf")
    meter = require("pyloudnorm").Meter(audio.sample_rate_hz)
    with np.errstate(divide="ignore"):
        return float(meter.integrated_loudness(np.ascontiguousarray(audio.samples.T, np.float64)))


def true_peak_dbtp(audio: Audio) -> float:
    """Largest magnitude at and between samples in dB of full scale (BS.1770-4, annex 2: 4 times the rate)."""
    rate_hz = audio.sample_rate_hz
    raised = soxr.resample(audio.samples.T, rate_hz, OVERSAMPLING * rate_hz, quality="VHQ")
    peak = max(float(np.abs(raised).max(initial=0.0)), float(np.abs(audio.samples).max(initial=0.0)))
    return 20 * float(np.log10(peak)) if peak > 0 else float("-inf")


def channel_coherence(
    audio: Audio, *, heard_in: Audio | None = None, low_hz: float = 0.0, high_hz: float = float("inf")
) -> float:
    """Magnitude-squared coherence of left and right, averaged over frequency.

    By Welch's method with Hann windows of 2048 samples. 1 for two channels that are filtered copies of one
    another, near 0 for independent ones.

    Args:
        audio: Stereo; mono is 1.
        heard_in: The audio whose spectrum says which frequencies count (those within 80 dB of its loudest);
            `audio` itself where missing. Give the reference, and both are averaged over the same frequencies.
        low_hz: Lowest frequency that counts.
        high_hz: Highest frequency that counts.

    Returns:
        0..1, or NaN if the audio is silent where it counts, or too short.
    """
    if audio.channels == 1:
        return 1.0
    signal = require("scipy.signal")
    settings: dict[str, Any] = {
        "fs": audio.sample_rate_hz,
        "nperseg": COHERENCE_SAMPLES,
        "detrend": False,
    }
    judge = heard_in or audio
    if min(audio.samples.shape[1], judge.samples.shape[1]) < 4 * COHERENCE_SAMPLES:
        return float("nan")
    hz, powers = signal.welch(judge.samples, **settings)
    power = powers.sum(axis=0)
    counts = (power > AUDIBLE_RANGE * power.max()) & (hz >= low_hz) & (hz <= high_hz)
    with np.errstate(divide="ignore", invalid="ignore"):
        _, coherence = signal.coherence(audio.samples[0], audio.samples[1], **settings)
    heard = coherence[counts]
    heard = heard[np.isfinite(heard)]
    return float(heard.mean()) if len(heard) else float("nan")
