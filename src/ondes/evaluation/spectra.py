"""Distances of log-mel spectrograms, in the front end of our own models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ondes.audio import Audio


def log_mel(audio: Audio) -> np.ndarray:
    """Log-mel spectrogram of stereo audio (2, 128, frames), at the front end's rate."""
    import torch  # noqa: PLC0415

    from ondes.representations.mel import MEL, to_log_mel  # noqa: PLC0415

    stereo = audio.to_stereo().resample(MEL.sample_rate_hz)
    with torch.no_grad():
        return to_log_mel(torch.from_numpy(stereo.samples.copy())).numpy()


def log_mel_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean |difference| of two log-mel spectrograms in nepers (1 is 8.7 dB), over the frames that both have.

    Args:
        one: (channels, bands, frames).
        other: The same, or with one frame, which then stands for all.
    """
    frames = min(one.shape[-1], other.shape[-1]) if other.shape[-1] > 1 else one.shape[-1]
    difference = one[..., :frames].astype(np.float32) - other[..., :frames].astype(np.float32)
    return float(np.abs(difference).mean())


def silence_spectrum() -> np.ndarray:
    """The log-mel spectrum of silence: the floor everywhere (1, 1, 1)."""
    from ondes.representations.mel import MEL  # noqa: PLC0415

    return np.full((1, 1, 1), np.log(MEL.floor), np.float32)


def mean_spectrum(spectrograms: Iterable[np.ndarray]) -> np.ndarray:
    """Mean of each channel's band over all frames of all spectrograms (channels, bands, 1)."""
    total, frames = np.zeros(()), 0
    for spectrogram in spectrograms:
        total = total + spectrogram.astype(np.float64).sum(axis=-1, keepdims=True)
        frames += spectrogram.shape[-1]
    return (total / max(frames, 1)).astype(np.float32)
