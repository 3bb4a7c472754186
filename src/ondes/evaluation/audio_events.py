"""Onsets and pitch classes of any audio, and how two recordings agree in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64

from ondes.evaluation.extras import require
from ondes.evaluation.spectra import log_mel

if TYPE_CHECKING:
    from ondes.audio import Audio

FRAMES_PER_SECOND = 44_100 / 512
"""Of the package's own front end, on which onsets are found."""
LIFT = -7.0
"""Softer bands (ln magnitude) count as this soft: nothing rises out of noise that cannot be heard."""
AROUND_FRAMES = 43
"""Onsets stand out from the half second to either side."""
APART_FRAMES = 4
LEAST_RISE = 0.1
"""Nepers that the bands must rise on average, over what they do around."""
EDGE_FRAMES = 2
"""Frames that hear the reflected end."""
TOLERANCE_S = 0.05
"""Onsets closer than this are the same one, as in every published onset F1 (MIREX)."""

CHROMA_FFT = 8192
CHROMA_HOP = 2048
LOWEST_HZ, HIGHEST_HZ = 55.0, 4000.0
SILENT_POWER = 1e-6
"""Of a frame's chroma; softer frames have no pitch classes."""


def onset_times_s(audio: Audio) -> Float64[np.ndarray, " onsets"]:
    """Where something begins in a recording; see `rising_times_s`."""
    return rising_times_s(log_mel(audio))


def rising_times_s(spectrogram: Float[np.ndarray, "channels bands frames"]) -> Float64[np.ndarray, " onsets"]:
    """Peaks of the mean rise of the bands of a log-mel that stand out from their surroundings."""
    ndimage = require("scipy.ndimage")
    level = np.maximum(spectrogram.max(axis=0), LIFT)
    rise = np.zeros(level.shape[1])
    rise[2:] = np.maximum(level[:, 2:] - level[:, :-2], 0.0).mean(axis=0)
    rise[-EDGE_FRAMES:] = 0.0
    usual = ndimage.uniform_filter1d(rise, 2 * AROUND_FRAMES + 1, mode="constant")
    highest = ndimage.maximum_filter1d(rise, 2 * APART_FRAMES + 1, mode="constant")
    peaks = np.flatnonzero((rise == highest) & (rise > usual + LEAST_RISE))
    # The rise over two frames is largest one frame after the attack, whose frame is centred half a hop late.
    return (peaks - 0.5) / FRAMES_PER_SECOND


@dataclass(frozen=True)
class OnsetCounts:
    """Onsets that two recordings share, and how many each has; counts of several can be added."""

    shared: int
    true: int
    made: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where neither has an onset."""
        total = self.true + self.made
        return 2 * self.shared / total if total else float("nan")


def shared_onsets(true_s: np.ndarray, made_s: np.ndarray, *, tolerance_s: float = TOLERANCE_S) -> OnsetCounts:
    """The most pairs of onsets within the tolerance, each used once; times in order.

    On a line, taking the earliest partner that is left is optimal, so this equals the bipartite matching of
    `mir_eval.onset.f_measure`.
    """
    shared = next_made = 0
    for onset_s in true_s:
        while next_made < len(made_s) and made_s[next_made] < onset_s - tolerance_s:
            next_made += 1
        if next_made < len(made_s) and made_s[next_made] <= onset_s + tolerance_s:
            shared, next_made = shared + 1, next_made + 1
    return OnsetCounts(shared, len(true_s), len(made_s))


def chroma(audio: Audio) -> Float[np.ndarray, "frames 12"]:
    """Power of each pitch class, C first, from frame to frame, equal temperament at A = 440 Hz.

    Bins of a Fourier transform of 8192 samples between 55 Hz and 4 kHz count for the nearest pitch class.
    """
    mono = audio.samples.mean(axis=0)
    mono = np.pad(mono, (0, max(CHROMA_FFT - len(mono), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(mono, CHROMA_FFT)[::CHROMA_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(CHROMA_FFT), axis=1)) ** 2 / CHROMA_FFT
    hz = np.arange(power.shape[1]) * audio.sample_rate_hz / CHROMA_FFT
    heard = (hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ)
    pitch = np.round(69 + 12 * np.log2(hz[heard] / 440)).astype(int)
    classes = np.zeros((int(heard.sum()), 12))
    classes[np.arange(len(pitch)), pitch % 12] = 1.0
    return power[:, heard] @ classes


def chroma_agreement(true: np.ndarray, made: np.ndarray) -> float:
    """Mean cosine of the pitch classes of two recordings over the frames in which the first is heard.

    0 where the second is silent; NaN where the first always is.
    """
    frames = min(len(true), len(made))
    first, second = true[:frames], made[:frames]
    heard = first.sum(axis=1) > SILENT_POWER
    if not heard.any():
        return float("nan")
    length = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosine = np.divide((first * second).sum(axis=1), length, out=np.zeros(frames), where=length > 0)
    cosine[second.sum(axis=1) <= SILENT_POWER] = 0.0
    return float(cosine[heard].mean())
