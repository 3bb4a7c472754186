"""Figures of written music, one a window: pitch, scale, grid, groove, polyphony, density.

Definitions are those of muspy 0.5.0 (Dong et al. 2020, arXiv 2008.01951) where it has them, and the tests hold them
against muspy's own numbers. Drums have no pitch and are left out of figures of pitch; a figure that a window does not
have is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.evaluation.symbolic_windows import NoteWindows
from ondes.representations.note_sequence import STEPS_PER_QUARTER

SIXTEENTH_STEPS = STEPS_PER_QUARTER // 4
GRID_TOLERANCE_QUARTERS = 0.02
"""An onset this near a sixteenth is on the grid."""

MAJOR = (1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1)
MINOR = (1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0)
"""Natural minor; seven notes, as those of a major scale."""


def pitch_class_counts(windows: NoteWindows) -> Int64[np.ndarray, "windows 12"]:
    """How often each pitch class begins, drums left out."""
    own = windows.pitched
    key = windows.window[own] * 12 + windows.pitch[own] % 12
    return np.bincount(key, minlength=12 * len(windows)).reshape(-1, 12)


def pitch_class_entropy(windows: NoteWindows) -> Float64[np.ndarray, " windows"]:
    """Entropy of the pitch classes in bits, at most log2(12) = 3.585 (Wu and Yang 2020; muspy)."""
    counts = pitch_class_counts(windows)
    share = _ratio(counts, counts.sum(axis=1, keepdims=True))
    return np.where(
        counts.any(axis=1), -np.sum(share * np.log2(np.where(counts > 0, share, 1.0)), axis=1), np.nan
    )


def scale_shares(windows: NoteWindows) -> Float64[np.ndarray, "windows 24"]:
    """Share of notes in each scale: major on C, C sharp and so on, then natural minor."""
    counts = pitch_class_counts(windows)
    scales = np.stack([np.roll(mode, root) for mode in (MAJOR, MINOR) for root in range(12)])
    return _ratio(counts @ scales.T, counts.sum(axis=1, keepdims=True))


def scale_consistency(windows: NoteWindows) -> Float64[np.ndarray, " windows"]:
    """Share of notes in the major or minor scale that holds the most of them (Mogren 2016; muspy)."""
    return scale_shares(windows).max(axis=1, initial=-np.inf, where=~np.isnan(scale_shares(windows))) + (
        np.where(pitch_class_counts(windows).any(axis=1), 0.0, np.nan)
    )


def pitches_used(windows: NoteWindows) -> Float64[np.ndarray, " windows"]:
    """How many different pitches there are (muspy's `n_pitches_used`)."""
    own = windows.pitched
    key = np.unique(windows.window[own] * 128 + windows.pitch[own])
    return np.bincount(key // 128, minlength=len(windows)).astype(np.float64)


def grid_share(windows: NoteWindows) -> Float64[np.ndarray, " windows"]:
    """Share of onsets within 0.02 quarter notes of a sixteenth of their bar; drums count."""
    position = windows.onset_steps - windows.bar_start_steps[windows.bar]
    off = np.abs(position - np.round(position / SIXTEENTH_STEPS) * SIXTEENTH_STEPS)
    on = off <= GRID_TOLERANCE_QUARTERS * STEPS_PER_QUARTER + 1e-9
    return _ratio(np.bincount(windows.window, on, len(windows)), windows.counts())


def groove_consistency(
    windows: NoteWindows, *, cell_steps: int = SIXTEENTH_STEPS
) -> Float64[np.ndarray, " windows"]:
    """1 - mean Hamming distance of neighbouring bars' onsets (Wu and Yang 2020; muspy); drums count.

    The onsets of a bar are zeros and ones over its cells. As in muspy, bars go on to the one in which the last note
    ends, even if nothing begins there. Only neighbours of equal length are compared. The figure rises with sparseness.

    Args:
        windows: Some windows.
        cell_steps: Length of a cell; onsets are rounded to the nearest.

    Returns:
        NaN where no two neighbouring bars are of one length.
    """
    cells = np.maximum(np.round(windows.bar_steps / cell_steps), 1).astype(np.int64)
    position = windows.onset_steps - windows.bar_start_steps[windows.bar]
    cell = np.floor(position / cell_steps + 0.5).astype(np.int64)
    # An onset that is rounded up to the bar line stands at the beginning of the next bar.
    bar = windows.bar
    over = (cell >= cells[bar]) & (bar + 1 < len(cells))
    over[over] = windows.bar_window[bar[over] + 1] == windows.bar_window[bar[over]]
    bar, cell = bar + over, np.where(over, 0, np.clip(cell, 0, cells[bar] - 1))
    width = int(cells.max(initial=1))
    onsets = np.unique(bar * width + cell)
    in_bar = np.bincount(onsets // width, minlength=len(cells))
    again = np.bincount(onsets[np.isin(onsets + width, onsets)] // width, minlength=len(cells))
    comparable = (windows.bar_window[1:] == windows.bar_window[:-1]) & (
        np.abs(windows.bar_steps[1:] - windows.bar_steps[:-1]) < 1e-6
    )
    apart = (in_bar[1:] + in_bar[:-1] - 2 * again[:-1])[comparable]
    owner = windows.bar_window[:-1][comparable]
    total = np.bincount(owner, cells[:-1][comparable], len(windows))
    return 1.0 - _ratio(np.bincount(owner, apart, len(windows)), total)


def polyphony(windows: NoteWindows) -> Float64[np.ndarray, " windows"]:
    """Mean number of pitches that sound when any does (muspy); unisons count once, drums not at all."""
    own = windows.pitched
    sounding = _sounding(windows, own)
    total = np.bincount(sounding.owner, sounding.count * sounding.steps, len(windows))
    return _ratio(total, np.bincount(sounding.owner, (sounding.count > 0) * sounding.steps, len(windows)))


def polyphony_rate(windows: NoteWindows, *, at_least: int = 2) -> Float64[np.ndarray, " windows"]:
    """Share of the time from the first bar line to the last note's end in which so many pitches sound.

    muspy's `polyphony_rate(threshold=2)` counts more than two, `at_least=3` here.
    """
    sounding = _sounding(windows, windows.pitched)
    many = np.bincount(sounding.owner, (sounding.count >= at_least) * sounding.steps, len(windows))
    return _ratio(many, window_end_steps(windows))


def window_end_steps(windows: NoteWindows) -> Float64[np.ndarray, " windows"]:
    """Where the last note of each window ends."""
    ends = np.zeros(len(windows))
    np.maximum.at(ends, windows.window, windows.end_steps)
    return ends


def note_density(windows: NoteWindows) -> Float64[np.ndarray, " windows"]:
    """Notes in a quarter note, from the first onset to the last; drums count.

    NaN where all notes begin together.
    """
    first, last = np.full(len(windows), np.inf), np.full(len(windows), -np.inf)
    np.minimum.at(first, windows.window, windows.onset_steps)
    np.maximum.at(last, windows.window, windows.onset_steps)
    span = np.where(np.isfinite(last - first), last - first, 0.0) / STEPS_PER_QUARTER
    return _ratio(windows.counts() - 1.0, span)


FIGURES: Mapping[str, Callable[[NoteWindows], Float64[np.ndarray, " windows"]]] = {
    "pitch-class entropy": pitch_class_entropy,
    "scale consistency": scale_consistency,
    "grid share": grid_share,
    "groove consistency": groove_consistency,
    "polyphony": polyphony,
    "note density": note_density,
}
"""The figures of the report, one value a window."""


class _Sounding:
    """Spans of time in which the number of sounding pitches stays the same.

    Attributes:
        owner: Window of each span.
        steps: Its length.
        count: Pitches that sound.
    """

    def __init__(self, owner: np.ndarray, time: np.ndarray, change: np.ndarray) -> None:
        order = np.lexsort((time, owner))
        owner, time, change = owner[order], time[order], change[order]
        # What begins ends in the same window, so the sum is 0 again where the next window begins.
        self.count: Int64[np.ndarray, " spans"] = np.cumsum(change)
        self.steps: Float64[np.ndarray, " spans"] = np.append(
            np.where(owner[1:] == owner[:-1], np.diff(time), 0.0), np.zeros(min(1, len(time)))
        )
        self.owner: Int64[np.ndarray, " spans"] = owner


def _sounding(windows: NoteWindows, own: Bool[np.ndarray, " notes"]) -> _Sounding:
    """How many of the chosen notes' pitches sound when."""
    key = windows.window[own] * 128 + windows.pitch[own]
    start, end = windows.onset_steps[own], windows.end_steps[own]
    order = np.lexsort((start, key))
    key, start, end = key[order], start[order], end[order]
    # Later pitches are moved behind all earlier ones, so that one running maximum serves them all.
    apart = (end.max(initial=0.0) - start.min(initial=0.0) + 1.0) * np.unique(key, return_inverse=True)[1]
    reached = np.maximum.accumulate(end + apart) - apart if len(key) else end
    fresh = np.append(np.full(min(1, len(key)), True), key[1:] != key[:-1])
    before = np.where(fresh, -np.inf, np.append(np.zeros(min(1, len(key))), reached[:-1]))
    begin = np.maximum(start, before)
    real = end > begin
    owner = key[real] // 128
    ones = np.ones(len(owner), np.int64)
    return _Sounding(np.append(owner, owner), np.append(begin[real], end[real]), np.append(ones, -ones))


def _ratio(over: np.ndarray, under: np.ndarray) -> Float64[np.ndarray, "*shape"]:
    """A quotient, NaN where the divisor is 0."""
    over, under = np.broadcast_arrays(np.asarray(over, np.float64), np.asarray(under, np.float64))
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
