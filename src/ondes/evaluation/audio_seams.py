"""Can the borders of an edited stretch be heard? The 95th percentile at borders over the same elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float64

from ondes.evaluation.audio_events import onset_times_s
from ondes.evaluation.extras import require
from ondes.evaluation.joins import (
    FLUX_REACH,
    HOP_SAMPLES,
    JUMP_REACH_SAMPLES,
    relative_steps,
    spectral_flux,
)

if TYPE_CHECKING:
    from ondes.audio import Audio

ONSET_GUARD_S = 0.08
"""So close to an onset neither borders nor anything else are looked at: the music itself changes there."""
PERCENTILE = 95.0
MOST_ELSEWHERE = 2000
"""Points of one recording at most, evenly spread."""

Measure = Literal["flux", "jump"]


@dataclass(frozen=True, eq=False)
class SeamPoints:
    """A measure at the borders of a recording and elsewhere in it.

    Attributes:
        at: One at each border that is no onset (borders,).
        elsewhere: Points without a border or onset nearby (points,).
    """

    at: Float64[np.ndarray, " borders"]
    elsewhere: Float64[np.ndarray, " points"]


def music_onsets_s(
    audio: Audio, original: Audio, borders_s: Sequence[float] | np.ndarray
) -> Float64[np.ndarray, " onsets"]:
    """Onsets that are no seams: those of the original, everywhere, and those of the edit away from its borders.

    An onset that editing made at a border is a seam.

    Args:
        audio: The edited recording.
        original: What it was before, on the same time axis.
        borders_s: Where made sound and kept sound meet.
    """
    own_s = onset_times_s(audio)
    own_s = own_s[_distance(own_s, np.asarray(borders_s, float)) > ONSET_GUARD_S]
    return np.concatenate([own_s, onset_times_s(original)])


def seam_points(
    audio: Audio,
    borders_s: Sequence[float] | np.ndarray,
    *,
    onsets_s: np.ndarray | None = None,
    measure: Measure = "flux",
) -> SeamPoints:
    """What an edited recording does at its borders and elsewhere, onsets left out.

    At a point counts the largest value of the frames or samples around that touch it, whether there is a border or not.

    Args:
        audio: The edited recording.
        borders_s: Where made sound and kept sound meet.
        onsets_s: What is left out, see `music_onsets_s`; nothing where None.
        measure: "flux", see `spectral_flux`, or "jump", see `relative_steps`.
    """
    borders = np.asarray(borders_s, float)
    onsets = np.zeros(0) if onsets_s is None else onsets_s
    if measure == "flux":
        values, rate_hz, reach = spectral_flux(audio), audio.sample_rate_hz / HOP_SAMPLES, FLUX_REACH
    else:
        values, rate_hz, reach = relative_steps(audio), float(audio.sample_rate_hz), JUMP_REACH_SAMPLES
    largest = require("scipy.ndimage").maximum_filter1d(values, 2 * reach + 1, mode="nearest")
    points = np.round(borders * rate_hz).astype(int)
    inside = (points > reach) & (points < len(values) - reach)
    quiet = _distance(borders, onsets) > ONSET_GUARD_S
    free = np.arange(2 * reach, len(values) - 2 * reach)
    free_s = free / rate_hz
    free = free[
        (_distance(free_s, borders) > 2 * reach / rate_hz) & (_distance(free_s, onsets) > ONSET_GUARD_S)
    ]
    free = free[:: max(len(free) // MOST_ELSEWHERE, 1)]
    return SeamPoints(largest[points[inside & quiet]], largest[free])


def seam_score(parts: Sequence[SeamPoints]) -> float:
    """95th percentile at the borders of all recordings over that elsewhere; NaN where one side is empty.

    Every recording counts elsewhere as much as it has borders, so that loud and soft ones weigh the same on both sides.
    """
    parts = [part for part in parts if len(part.at) and len(part.elsewhere)]
    if not parts:
        return float("nan")
    at = np.concatenate([part.at for part in parts])
    elsewhere = np.concatenate([part.elsewhere for part in parts])
    weight = np.concatenate([np.full(len(p.elsewhere), len(p.at) / len(p.elsewhere)) for p in parts])
    usual = weighted_percentile(elsewhere, weight, PERCENTILE)
    return weighted_percentile(at, np.ones(len(at)), PERCENTILE) / usual if usual > 0 else float("nan")


def weighted_percentile(values: np.ndarray, weights: np.ndarray, percentile: float) -> float:
    """The percentile of values that stand for as many as their weights say, linear between their midpoints.

    With equal weights this is Hazen's definition (`numpy.percentile(..., method="hazen")`).
    """
    order = np.argsort(values, kind="stable")
    ordered, heavy = values[order], weights[order]
    place = (np.cumsum(heavy) - heavy / 2) / heavy.sum()
    return float(np.interp(percentile / 100, place, ordered))


def _distance(points: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """How far each point is from the nearest mark; infinite without marks."""
    if not len(marks):
        return np.full(len(points), np.inf)
    ordered = np.sort(marks)
    after = np.searchsorted(ordered, points)
    right = ordered[np.minimum(after, len(ordered) - 1)]
    left = ordered[np.maximum(after - 1, 0)]
    return np.minimum(np.abs(points - left), np.abs(points - right))
