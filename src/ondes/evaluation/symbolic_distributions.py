"""How far the distributions of a figure in two sets of windows overlap, and what music itself reaches.

The overlapping area of two histograms is the sum of the smaller bar of each class (the discrete form of the overlapping
area of Yang and Lerch 2020, "On the evaluation of generative models in music"). It depends on the number of windows:
fewer windows give rougher histograms and a smaller area, even of the same music. So the area of held-out music and a
model is quoted over that of held-out music and as many windows of the training set.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from ondes.evaluation.bootstrap import RESAMPLES, Figure, counted_bootstrap
from ondes.evaluation.symbolic import FIGURES
from ondes.evaluation.symbolic_windows import NoteWindows

LENGTHS_STEPS = (1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 36, 48, 72, 96, 144, 192, 288, 384)
"""Musical lengths in 24ths of a quarter note, triplets and dots among them: classes of durations and distances."""

BINS = 12
"""Classes of a figure that is a number a window, each with as many windows of real music."""

GRADED = ("grid share", "groove consistency", "polyphony", "note density")
"""Figures whose distributions over windows are compared."""


def length_class(steps: Float[np.ndarray, " notes"]) -> Int64[np.ndarray, " notes"]:
    """The nearest of `LENGTHS_STEPS` by ratio, 0 to 19.

    Args:
        steps: Above 0.
    """
    centres = np.log(LENGTHS_STEPS)
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, np.log(steps)).astype(np.int64)


def duration_shares(windows: NoteWindows) -> Float64[np.ndarray, "windows 20"]:
    """Share of each window's pitched notes in each class of duration; zeros where it has none."""
    own = windows.pitched
    return _shares(windows.window[own], length_class(windows.duration_steps[own]), len(windows))


def inter_onset_shares(windows: NoteWindows) -> Float64[np.ndarray, "windows 20"]:
    """Share of the distances between onsets that follow one another in a part, in each class.

    Chords count once, drums too; the last onset of a part counts nowhere.
    """
    order = np.lexsort((windows.onset_steps, windows.part, windows.window))
    window, part, onset = (values[order] for values in (windows.window, windows.part, windows.onset_steps))
    apart = np.diff(onset)
    # Onsets closer than a quarter step are one chord, played by hand.
    own = (np.diff(window) == 0) & (np.diff(part) == 0) & (apart >= 0.25)
    return _shares(window[1:][own], length_class(apart[own]), len(windows))


def overlap(
    one: Float64[np.ndarray, "*sets classes"], other: Float64[np.ndarray, "*sets classes"]
) -> Float64[np.ndarray, "*sets"]:
    """Overlapping area of histograms, 0 to 1; NaN where one is empty."""
    shares = [_quotients(counts, counts.sum(axis=-1, keepdims=True)) for counts in (one, other)]
    return np.asarray(np.minimum(*shares).sum(axis=-1))


@dataclass(frozen=True, eq=False)
class Distribution:
    """A figure of real music, in classes that real music defines.

    Attributes:
        name: Of the figure.
        held_out: Histogram of each held-out window (windows, classes).
        train: Of each training window.
        edges: Between classes; None where the classes are `LENGTHS_STEPS`.
    """

    name: str
    held_out: np.ndarray
    train: np.ndarray
    edges: np.ndarray | None

    def rows(self, windows: NoteWindows) -> np.ndarray:
        """Histograms of other windows (windows, classes)."""
        if self.edges is None:
            return _BY_LENGTH[self.name](windows)
        return _one_hot(FIGURES[self.name](windows), self.edges)


def distributions(held_out: NoteWindows, train: NoteWindows) -> list[Distribution]:
    """What is compared: four figures of windows, distances of onsets, durations."""
    found = []
    for name in GRADED:
        values = [FIGURES[name](windows) for windows in (held_out, train)]
        pooled = np.concatenate(values)
        quantiles = np.quantile(pooled[np.isfinite(pooled)], np.linspace(0, 1, BINS + 1)[1:-1])
        edges = np.unique(quantiles)
        found.append(Distribution(name, _one_hot(values[0], edges), _one_hot(values[1], edges), edges))
    for name, rows in _BY_LENGTH.items():
        found.append(Distribution(name, rows(held_out), rows(train), None))
    return found


def overlap_share(
    distribution: Distribution,
    windows: NoteWindows,
    *,
    held_out: NoteWindows,
    train: NoteWindows,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Figure:
    """Overlap of held-out music with these windows over its overlap with as many of the training set.

    Where the training set is several times as large, the mean of several such parts of it is taken. Sources of all
    three sets are drawn anew for the interval.
    """
    rows = distribution.rows(windows)
    sets = (rows, distribution.held_out, distribution.train)
    before = np.cumsum([0, *(len(one) for one in sets)])
    parts = max(1, len(train) // max(len(rows), 1))

    def statistic(counts: np.ndarray) -> np.ndarray:
        ours, held, known = (counts[:, a:b] for a, b in itertools.pairwise(before))
        target = held @ distribution.held_out
        real = [
            overlap(target, known[:, k::parts][:, : len(rows)] @ distribution.train[k::parts][: len(rows)])
            for k in range(parts)
        ]
        return _quotients(overlap(target, ours @ rows), np.mean(real, axis=0))

    sources, strata = _design(windows, held_out, train)
    return counted_bootstrap(statistic, sources, strata=strata, seed=seed, resamples=resamples)


def mean_difference(
    values: Float64[np.ndarray, " windows"],
    windows: NoteWindows,
    others: Float64[np.ndarray, " others"],
    held_out: NoteWindows,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Figure:
    """Absolute difference of the means of a figure in two sets; NaN values are left out."""

    def means(counts: np.ndarray, column: np.ndarray) -> np.ndarray:
        finite = np.isfinite(column)
        return _quotients(counts @ np.where(finite, column, 0.0), (counts @ finite).astype(np.float64))

    def statistic(counts: np.ndarray) -> np.ndarray:
        return np.abs(means(counts[:, : len(values)], values) - means(counts[:, len(values) :], others))

    sources, strata = _design(windows, held_out)
    return counted_bootstrap(statistic, sources, strata=strata, seed=seed, resamples=resamples)


def _design(*sets: NoteWindows) -> tuple[list[Hashable], list[int]]:
    """Sources and strata of several sets side by side: each is drawn from by itself."""
    pairs = [(number, source) for number, one in enumerate(sets) for source in one.sources]
    return list(pairs), [number for number, _ in pairs]


def _one_hot(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """One row a window with a one at its class; zeros where the figure is NaN."""
    rows = np.zeros((len(values), len(edges) + 1))
    finite = np.flatnonzero(np.isfinite(values))
    rows[finite, np.searchsorted(edges, values[finite], side="right")] = 1.0
    return rows


def _shares(owner: np.ndarray, kind: np.ndarray, windows: int) -> np.ndarray:
    """Histograms of classes that sum to 1 for each window, so that each counts alike."""
    classes = len(LENGTHS_STEPS)
    counts = np.bincount(owner * classes + kind, minlength=classes * windows).reshape(windows, classes)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _quotients(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Quotients, NaN where the divisor is not above 0."""
    shape = np.broadcast_shapes(over.shape, under.shape)
    return np.divide(over, under, out=np.full(shape, np.nan), where=under > 0)


_BY_LENGTH: Mapping = {"inter-onset distances": inter_onset_shares, "durations": duration_shares}
