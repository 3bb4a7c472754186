"""A fixed description of a window by numbers, for the Fréchet distance: our own, and no published embedding.

Embeddings of music by trained networks (CLaMP 2) have to be fetched at run time, and the hidden states of our own
composer would judge it by what it has learned itself. So the encoder is a list of formulas: histograms of pitch classes
above the tonic, melodic and harmonic intervals, durations, distances, places in the beat; and figures of texture,
register and repetition. It knows nothing of any model, and never changes with one. Distances are comparable only among
themselves: with the floor between two halves of real music, and with what is no music.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from ondes.evaluation.frechet import GaussianStatistics, frechet_distance
from ondes.evaluation.memorisation import GRAMS, to_symbols
from ondes.evaluation.symbolic import (
    grid_share,
    groove_consistency,
    note_density,
    pitch_class_counts,
    pitch_class_entropy,
    pitches_used,
    polyphony,
    polyphony_rate,
    scale_shares,
)
from ondes.evaluation.symbolic_distributions import LENGTHS_STEPS, duration_shares, inter_onset_shares
from ondes.evaluation.symbolic_windows import NoteWindows
from ondes.representations.note_sequence import STEPS_PER_QUARTER

NAME = "69 formulas of ondes, standardised by the training set (no published embedding)"

MELODIC_EDGES = (-12, -7, -4, -2, -1, 0, 1, 2, 3, 5, 8, 13)
"""Classes of intervals in semitones: the largest falls are below the first, the largest leaps above the last."""
COARSE = (0, 4, 7, 10, 13, 15)
"""Where coarse classes of `LENGTHS_STEPS` begin: shorter than a sixteenth, from 1/4, 1/2, 1, 2, 4 quarter notes."""
LEAST_SPREAD = 1e-3
FARTHEST = 5.0
"""Standard deviations at which a number is clipped, so that one odd window does not decide."""


def describe(windows: NoteWindows) -> Float64[np.ndarray, "windows features"]:
    """The numbers of each window, not standardised; what a window does not have is 0."""
    columns = [
        _tonal(windows),
        _intervals(windows),
        _chords(windows),
        _coarse(duration_shares(windows)),
        _coarse(inter_onset_shares(windows)),
        _beats(windows),
        _texture(windows),
    ]
    return np.nan_to_num(np.concatenate(columns, axis=1))


class Encoder:
    """The description, in standard deviations of a reference.

    Args:
        reference: Windows of real music, the training set's.
    """

    def __init__(self, reference: NoteWindows) -> None:
        numbers = describe(reference)
        self.mean = numbers.mean(axis=0)
        self.spread = np.maximum(numbers.std(axis=0), LEAST_SPREAD)

    def __call__(self, windows: NoteWindows) -> Float64[np.ndarray, "windows features"]:
        """The standardised description of windows."""
        return np.clip((describe(windows) - self.mean) / self.spread, -FARTHEST, FARTHEST)

    @property
    def dimension(self) -> int:
        """How many numbers describe a window."""
        return len(self.mean)


def distance(one: Float64[np.ndarray, "n features"], other: Float64[np.ndarray, "m features"]) -> float:
    """The Fréchet distance of two sets of descriptions; NaN if one is empty."""
    if not len(one) or not len(other):
        return float("nan")
    statistics = [GaussianStatistics.of([rows], rows.shape[1]) for rows in (one, other)]
    return frechet_distance(*statistics)


def _tonal(windows: NoteWindows) -> np.ndarray:
    """Pitch classes above the tonic of the best major scale; how well it fits; entropy, pitches used."""
    counts = pitch_class_counts(windows).astype(np.float64)
    shares = np.nan_to_num(scale_shares(windows))
    tonic = shares[:, :12].argmax(axis=1)
    turned = np.take_along_axis(counts, (np.arange(12) + tonic[:, None]) % 12, axis=1)
    turned /= np.maximum(turned.sum(axis=1, keepdims=True), 1)
    best = [shares.max(axis=1), pitch_class_entropy(windows), pitches_used(windows)]
    return np.concatenate([turned, np.stack(best, axis=1)], axis=1)


def _intervals(windows: NoteWindows) -> np.ndarray:
    """Intervals from each note to the next later one of its part; share of runs that a window repeats."""
    symbols = to_symbols(windows)
    kinds = len(LENGTHS_STEPS) + 1
    later = symbols.symbol % kinds > 0
    interval = symbols.symbol // kinds - 24
    kind = np.searchsorted(MELODIC_EDGES, interval[later], side="right")
    table = _histogram(symbols.window[later], kind, len(MELODIC_EDGES) + 1, len(windows))
    begins = np.flatnonzero(symbols.left >= GRAMS[0])
    rows = np.stack([symbols.window[begins], *(symbols.symbol[begins + k] for k in range(GRAMS[0]))], axis=1)
    distinct = np.unique(rows, axis=0)[:, 0]
    total = np.bincount(symbols.window[begins], minlength=len(windows))
    repeated = 1 - np.bincount(distinct, minlength=len(windows)) / np.maximum(total, 1)
    return np.concatenate([table, repeated[:, None]], axis=1)


def _chords(windows: NoteWindows) -> np.ndarray:
    """Intervals, modulo the octave, above the lowest of the notes that begin together; share of such notes."""
    own = windows.pitched
    window, onset, pitch = windows.window[own], np.round(windows.onset_steps[own]), windows.pitch[own]
    order = np.lexsort((pitch, onset, window))
    window, onset, pitch = window[order], onset[order], pitch[order]
    first = np.append(True, (np.diff(window) != 0) | (np.diff(onset) != 0))[: len(window)]
    bass = pitch[np.maximum.accumulate(np.where(first, np.arange(len(window)), 0))]
    table = _histogram(window[~first], (pitch - bass)[~first] % 12, 12, len(windows))
    total = np.bincount(window, minlength=len(windows))
    share = np.bincount(window, ~first, len(windows)) / np.maximum(total, 1)
    return np.concatenate([table, share[:, None]], axis=1)


def _coarse(shares: np.ndarray) -> np.ndarray:
    """Classes of length, gathered."""
    return np.add.reduceat(shares, COARSE, axis=1)


def _beats(windows: NoteWindows) -> np.ndarray:
    """Share of onsets at the bar line, on a quarter, an eighth, a sixteenth, a triplet, elsewhere."""
    position = windows.onset_steps - windows.bar_start_steps[windows.bar]
    step = np.round(position).astype(np.int64)
    near = np.abs(position - step) <= 0.5
    places = [step == 0, step % STEPS_PER_QUARTER == 0, step % 12 == 0, step % 6 == 0, step % 8 == 0]
    kind = np.select([near & place for place in places], range(len(places)), default=len(places))
    return _histogram(windows.window, kind, len(places) + 1, len(windows))


def _texture(windows: NoteWindows) -> np.ndarray:
    """Polyphony, density, groove, grid, register, parts and drums."""
    count, own = len(windows), windows.pitched
    owner, pitch = windows.window[own], windows.pitch[own].astype(np.float64)
    notes = np.maximum(np.bincount(owner, minlength=count), 1)
    mean = np.bincount(owner, pitch, count) / notes
    spread = np.sqrt(np.bincount(owner, (pitch - mean[owner]) ** 2, count) / notes)
    parts = np.unique(np.stack([windows.window, windows.part], axis=1), axis=0)[:, 0]
    columns = [
        np.log(polyphony(windows)),
        polyphony_rate(windows),
        np.log(note_density(windows)),
        groove_consistency(windows),
        grid_share(windows),
        mean,
        spread,
        np.log(np.maximum(np.bincount(parts, minlength=count), 1)),
        np.bincount(windows.window, ~own, count) / np.maximum(windows.counts(), 1),
    ]
    return np.stack(columns, axis=1)


def _histogram(owner: np.ndarray, kind: np.ndarray, kinds: int, windows: int) -> np.ndarray:
    """Shares of each class, in rows that sum to 1 or 0."""
    table = np.bincount(owner * kinds + kind, minlength=kinds * windows).reshape(windows, kinds)
    return table / np.maximum(table.sum(axis=1, keepdims=True), 1)
