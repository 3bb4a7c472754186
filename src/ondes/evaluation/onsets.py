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

WINDOW_S = 0.14
"""Length of the two windows that meet at the onset."""

HARMONICS = 5
HIGHEST_HZ = 10_000.0
QUARTER_TONE = 0.5
"""Semitones. What is as strong this far beside a harmonic is an attack's noise or a neighbour's."""

FLOOR = 1e-4
"""Gains count from this share of the excerpt's largest energy (-40 dB): nothing rises out of silence."""

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
    """How much energy a pitch's harmonics gain at a time, in dB over a floor.

    Energies are taken in two Hann windows, one that ends at the time and one that begins there, by Fourier
    sums at the exact frequencies, channels added. The gain of a harmonic is its energy after, less its energy
    before, less what lies a quarter tone beside it after; never below nothing. The logarithm is averaged over
    the harmonics.

    Chosen over a plain ratio of after and before: the area on 14 renders is 0.93 instead of 0.88 (quartets
    0.89 instead of 0.83), and falls to 0.66 where the audio comes 100 ms late.

    Args:
        audio: Any rate; silence is assumed around it.
        times_s: One a point (points,).
        pitch: MIDI pitches (points,).

    Returns:
        One figure a point (points,), from 0.
    """
    size = round(WINDOW_S * audio.sample_rate_hz)
    padded = np.pad(audio.samples, ((0, 0), (size, 2 * size)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)
    starts = np.clip(np.round(times_s * audio.sample_rate_hz).astype(int), 0, windows.shape[1] - 1 - size)
    gain = np.full((len(starts), HARMONICS), np.nan)
    loudest = 0.0
    for value in np.unique(pitch):
        points = np.flatnonzero(pitch == value)
        kernel = _harmonic_kernel(float(value), size, audio.sample_rate_hz)
        # The padding makes `starts` the beginning of the window before; (points, 3 offsets, harmonics).
        before, after = (
            _energy(windows[:, starts[points] + shift], kernel).reshape(len(points), 3, -1)
            for shift in (0, size)
        )
        loudest = max(loudest, float(before[:, 1].max()), float(after[:, 1].max()))
        beside = np.maximum(after[:, 0], after[:, 2])
        gain[points, : kernel.shape[1] // 3] = np.maximum(after[:, 1] - before[:, 1] - beside, 0.0)
    lift = FLOOR * max(loudest, 1e-30)
    return np.nanmean(10 * np.log10(gain / lift + 1), axis=1)


def _energy(windows: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Energies (points, columns of the kernel) of windows (channels, points, samples)."""
    return (np.abs(windows @ kernel) ** 2).sum(axis=0)


def _harmonic_kernel(pitch: float, size: int, sample_rate_hz: int) -> np.ndarray:
    """Hann-windowed complex tones (samples, 3 harmonics): a quarter tone below the harmonics, at, above."""
    offsets = np.array([-QUARTER_TONE, 0.0, QUARTER_TONE])
    base_hz = pitch_hz(pitch + offsets)
    known = np.arange(1, HARMONICS + 1)
    known = known[known * base_hz[-1] < min(HIGHEST_HZ, sample_rate_hz / 2)]
    frequencies_hz = np.outer(base_hz, known if len(known) else [1]).ravel()
    time_s = np.arange(size) / sample_rate_hz
    tones = np.exp(-2j * np.pi * time_s[:, None] * frequencies_hz)
    return (np.hanning(size)[:, None] * tones).astype(np.complex64)


def roc_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive exceeds a negative, ties counting half (Mann and Whitney 1947)."""
    rank = require("scipy.stats").rankdata(np.concatenate([positive, negative]))
    count = len(positive)
    return float((rank[:count].sum() - count * (count + 1) / 2) / (count * len(negative)))
