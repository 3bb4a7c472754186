"""What fills a gap in a recording without a model, and how well anything that fills it fits what was there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ondes.audio import Audio
from ondes.evaluation.audio_events import (
    OnsetCounts,
    chroma,
    chroma_agreement,
    rising_times_s,
    shared_onsets,
)
from ondes.evaluation.extras import require
from ondes.evaluation.spectra import log_mel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SURROUNDINGS_S = 1.0
"""What lies so close to a gap on either side is compared with what lies around candidates for a copy."""
SEARCH_FRAMES = 4
MATCHED_SAMPLES = 4096
FADE_S = 0.01

Fill = Callable[[Audio, float, float], Audio]
"""Maps a recording and where its gap begins and ends, in seconds, to the filled recording; may not look inside."""


def silence(audio: Audio, start_s: float, stop_s: float) -> Audio:
    """Nothing in the gap."""
    first, last = _samples(audio, start_s, stop_s)
    return _filled(audio, first, np.zeros((audio.channels, last - first), np.float32))


def linear_fade(audio: Audio, start_s: float, stop_s: float) -> Audio:
    """What came just before the gap goes on, fading linearly into what comes just after it.

    Where a side is shorter than the gap, silence stands for the rest.
    """
    first, last = _samples(audio, start_s, stop_s)
    length = last - first
    before = np.pad(audio.samples[:, max(first - length, 0) : first], ((0, 0), (max(length - first, 0), 0)))
    after = audio.samples[:, last : last + length]
    after = np.pad(after, ((0, 0), (0, length - after.shape[1])))
    ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)
    return _filled(audio, first, before * (1 - ramp) + after * ramp)


def copy_nearest(audio: Audio, start_s: float, stop_s: float) -> Audio:
    """The stretch of the same recording whose surroundings sound most like those of the gap.

    Surroundings are a second on either side as log-mels; silence where none fits beside the gap.
    """
    first, last = _samples(audio, start_s, stop_s)
    found = _nearest_start(audio, first, last)
    if found is None:
        return silence(audio, start_s, stop_s)
    return _filled(audio, first, audio.samples[:, found : found + last - first])


BASELINES: dict[str, Fill] = {
    "copy-nearest": copy_nearest,
    "silence": silence,
    "linear fade": linear_fade,
}


@dataclass(frozen=True)
class Fit:
    """How a filled gap agrees with what was there.

    Attributes:
        log_mel: Mean |difference| of log-mels in nepers, both channels.
        onsets: Onsets of both within the gap.
        chroma: Mean cosine of pitch classes; NaN where the truth is silent.
    """

    log_mel: float
    onsets: OnsetCounts
    chroma: float


def fit_of(true: Audio, filled: Audio, start_s: float, stop_s: float) -> Fit:
    """Compare two recordings of one length within a gap.

    Spectra are taken of the whole recordings, so that frames at the borders hear what lies around as listeners do.
    """
    levels = [log_mel(audio) for audio in (true, filled)]
    frames = levels[0].shape[-1]
    inside = (np.arange(frames) + 0.5) * true.duration_s / frames
    inside = (inside >= start_s) & (inside < stop_s)
    apart = float(np.abs(levels[0] - levels[1])[..., inside].mean())
    onsets = [rising_times_s(level) for level in levels]
    within = [times[(times >= start_s) & (times < stop_s)] for times in onsets]
    first, last = _samples(true, start_s, stop_s)
    classes = [chroma(Audio(audio.samples[:, first:last], audio.sample_rate_hz)) for audio in (true, filled)]
    return Fit(apart, shared_onsets(*within), chroma_agreement(*classes))


def largest_change_outside(before: Audio, after: Audio, start_s: float, stop_s: float) -> float:
    """Largest |difference| of samples outside a gap; infinite if the lengths, channels or rates differ."""
    if (before.samples.shape, before.sample_rate_hz) != (after.samples.shape, after.sample_rate_hz):
        return float("inf")
    first, last = _samples(before, start_s, stop_s)
    apart = np.abs(before.samples - after.samples)
    apart[:, first:last] = 0.0
    return float(apart.max(initial=0.0))


def _samples(audio: Audio, start_s: float, stop_s: float) -> tuple[int, int]:
    return round(start_s * audio.sample_rate_hz), round(stop_s * audio.sample_rate_hz)


def _filled(audio: Audio, first: int, inside: NDArray[np.float32]) -> Audio:
    """The recording with its gap replaced; short linear fades from and to what is played on, within the gap."""
    samples = audio.samples.copy()
    length, fade = inside.shape[1], min(round(FADE_S * audio.sample_rate_hz), inside.shape[1] // 2)
    gain = np.ones(length, np.float32)
    if fade:
        gain[:fade] = np.arange(1, fade + 1) / (fade + 1)
        gain[-fade:] = gain[:fade][::-1]
    samples[:, first : first + length] = inside * gain
    return Audio(samples, audio.sample_rate_hz)


def _nearest_start(audio: Audio, first: int, last: int) -> int | None:
    """First sample of the stretch to copy, which with its surroundings keeps clear of the gap."""
    level = log_mel(audio)
    per_frame = audio.samples.shape[1] / level.shape[-1]
    begin, end = int(first / per_frame), int(np.ceil(last / per_frame))
    around = round(SURROUNDINGS_S * audio.sample_rate_hz / per_frame)
    length = end - begin
    left, right = level[..., max(begin - around, 0) : begin], level[..., end : end + around]
    best, found = np.inf, None
    for start in range(left.shape[-1], level.shape[-1] - length - right.shape[-1] + 1, SEARCH_FRAMES):
        stop = start + length
        if start - left.shape[-1] < end and stop + right.shape[-1] > begin:
            continue
        apart = np.abs(level[..., start - left.shape[-1] : start] - left).sum()
        apart += np.abs(level[..., stop : stop + right.shape[-1]] - right).sum()
        if apart < best:
            best, found = float(apart), start
    return None if found is None else _aligned(audio, first, last, round(found * per_frame))


def _aligned(audio: Audio, first: int, last: int, start: int) -> int:
    """The sample near `start` before which the wave is most like that before the gap, so that beats meet."""
    mono = audio.samples.mean(axis=0)
    reach = MATCHED_SAMPLES // 2
    model = mono[max(first - MATCHED_SAMPLES, 0) : first]
    begin = max(start - len(model) - reach, 0)
    around = mono[begin : start + reach]
    if len(around) < len(model):
        return start
    correlate = require("scipy.signal").correlate
    energy = correlate(around**2, np.ones_like(model), mode="valid", method="fft")
    apart = energy - 2 * correlate(around, model, mode="valid", method="fft")
    found = begin + int(apart.argmin()) + len(model)
    return found if found + last - first <= (first if start < first else len(mono)) else start
