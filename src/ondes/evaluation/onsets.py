"""Score-informed onsets: does energy rise at a note's harmonics where the score says that it begins?

Unlike a transcriber this needs no guess of the notes, so it stays sharp in quartets and bands. Each written
onset is compared with times and pitches at which no note sounds, by the area under the ROC curve: 0.5 for
what knows nothing of the notes, 1 where every onset rises more than every control.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ondes.evaluation.extras import require
from ondes.evaluation.transcription import pitch_hz, pitched_notes

if TYPE_CHECKING:
    from ondes.audio import Audio
    from ondes.score import Notes

WINDOW_S = 0.093
"""Length of the two windows that meet at the onset: parts semitones whose harmonics lie above 360 Hz."""

HARMONICS = 5
HIGHEST_HZ = 10_000.0
FLOOR = 1e-6
"""Energies are lifted by this share of the excerpt's largest (-60 dB): nothing rises out of silence."""

GUARD_S = 0.1
"""Controls keep this far from notes of their pitch."""


def onset_auc(audio: Audio, notes: Notes, *, duration_s: float | None = None, seed: int = 0) -> float:
    """Area under the ROC curve of harmonic rise at the notes' onsets against controls, one a note.

    Args:
        audio: Any rate, any channels (energies add).
        notes: Drums are left out, unisons count once.
        duration_s: Onsets and controls lie before this; the audio's length where missing.
        seed: Of the controls, so that several audios meet the same ones.

    Returns:
        0..1, or NaN if there are no notes or no room for controls.
    """
    end_s = (duration_s or audio.duration_s) - WINDOW_S
    onset_s, _, pitch = pitched_notes(notes)
    inside = (onset_s >= 0) & (onset_s <= end_s)
    onset_s, pitch = onset_s[inside], pitch[inside]
    control_s, control_pitch = control_points(notes, end_s=end_s, seed=seed)
    if not len(onset_s) or not len(control_s):
        return float("nan")
    rise_db = harmonic_rise_db(
        audio, np.concatenate([onset_s, control_s]), np.concatenate([pitch, control_pitch])
    )
    return roc_auc(rise_db[: len(onset_s)], rise_db[len(onset_s) :])


def control_points(notes: Notes, *, end_s: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and pitches at which no note sounds or begins, drawn from what the excerpt has.

    Pitches are the written notes' own, so controls and onsets share one distribution up to what is refused.
    Every other time is another note's onset (something begins, but not this pitch), the rest are uniform.

    Args:
        notes: The excerpt.
        end_s: Latest time.
        seed: Of the draws.

    Returns:
        Times in seconds and pitches, as many as there are pitched notes, or fewer if there is little room.
    """
    onset_s, release_s, pitch = pitched_notes(notes)
    random = np.random.default_rng([seed, 0x0E5])
    begins = onset_s[(onset_s >= 0) & (onset_s <= end_s)]
    if not len(begins):
        return np.zeros(0), np.zeros(0, np.int64)
    wanted = len(begins)
    draws = 20 * wanted
    time_s = np.where(
        np.arange(draws) % 2 == 0, random.uniform(0.0, end_s, draws), random.choice(begins, draws)
    )
    drawn = random.choice(pitch, draws)
    free = np.ones(draws, bool)
    for value in np.unique(pitch):
        own = pitch == value
        asked = np.flatnonzero(drawn == value)
        near = (time_s[asked, None] > onset_s[own] - WINDOW_S - GUARD_S) & (
            time_s[asked, None] < release_s[own] + GUARD_S
        )
        free[asked] = ~near.any(axis=1)
    chosen = np.flatnonzero(free)[:wanted]
    return time_s[chosen], drawn[chosen]


def harmonic_rise_db(audio: Audio, times_s: np.ndarray, pitch: np.ndarray) -> np.ndarray:
    """How much louder a pitch's harmonics are just after a time than just before, in dB.

    The mean over the first harmonics of the ratio of energies in two Hann windows, one that ends at the time
    and one that begins there; Fourier sums at the harmonics' exact frequencies, channels added as energies.

    Args:
        audio: Any rate; silence is assumed around it.
        times_s: One a point (points,).
        pitch: MIDI pitches (points,).

    Returns:
        One figure a point (points,).
    """
    size = round(WINDOW_S * audio.sample_rate_hz)
    padded = np.pad(audio.samples, ((0, 0), (size, 2 * size)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)
    starts = np.clip(np.round(times_s * audio.sample_rate_hz).astype(int), 0, windows.shape[1] - 1 - size)
    energy = np.full((2, len(starts), HARMONICS), np.nan)
    for value in np.unique(pitch):
        points = np.flatnonzero(pitch == value)
        kernel = _harmonic_kernel(float(pitch_hz([value])[0]), size, audio.sample_rate_hz)
        for after in (0, 1):  # padding makes `starts` the beginning of the window before the time
            spectrum = windows[:, starts[points] + after * size] @ kernel
            energy[after, points, : kernel.shape[1]] = (np.abs(spectrum) ** 2).sum(axis=0)
    lift = FLOOR * max(float(np.nanmax(energy)), 1e-30)
    return np.nanmean(10 * np.log10((energy[1] + lift) / (energy[0] + lift)), axis=1)


def _harmonic_kernel(base_hz: float, size: int, sample_rate_hz: int) -> np.ndarray:
    """Hann-windowed complex tones at the harmonics (samples, harmonics below the highest frequency)."""
    harmonics_hz = base_hz * np.arange(1, HARMONICS + 1)
    harmonics_hz = harmonics_hz[harmonics_hz < min(HIGHEST_HZ, sample_rate_hz / 2)]
    if not len(harmonics_hz):
        harmonics_hz = np.array([base_hz])
    time_s = np.arange(size) / sample_rate_hz
    return (np.hanning(size)[:, None] * np.exp(-2j * np.pi * time_s[:, None] * harmonics_hz)).astype(
        np.complex64
    )


def roc_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive exceeds a negative, ties counting half (Mann and Whitney 1947)."""
    rank = require("scipy.stats").rankdata(np.concatenate([positive, negative]))
    count = len(positive)
    return float((rank[:count].sum() - count * (count + 1) / 2) / (count * len(negative)))
