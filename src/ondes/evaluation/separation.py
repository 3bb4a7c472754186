"""Figures of a separation: which part each note was given to, against the part it was written for.

Labels are indices of parts, -1 where a note was given to none. Parts of one instrument can stand for each other: a
separation that swaps first and second violins throughout has separated all there is to separate. `matched` undoes such
swaps, one part for one part; figures without it are of the parts as they are named.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from numpy.typing import ArrayLike

from ondes.evaluation.extras import require
from ondes.representations.mixture_rolls import RollNotes, rows_of

BINS = 15
"""Of confidence, equally wide, from 0 to 1; as in Guo et al. 2017 (arXiv 1706.04599)."""
BEST_NOTES = 256
"""The best of several separations is chosen anew for each stretch of so many notes.

Over a whole song the best of five hardly differs from any of them, whatever their quality: errors average out.
"""


def confusion(
    true: Int64[np.ndarray, " notes"], found: Int64[np.ndarray, " notes"], classes: int
) -> Int64[np.ndarray, "classes classes_and_none"]:
    """Counts of notes by true and found class; the last column holds notes that were given to none."""
    column = np.where(found < 0, classes, found)
    cells = np.bincount(true * (classes + 1) + column, minlength=classes * (classes + 1))
    return cells.reshape(classes, classes + 1).astype(np.int64)


def matched(
    true: Int64[np.ndarray, " notes"], found: Int64[np.ndarray, " notes"], kinds: Sequence[Hashable]
) -> Int64[np.ndarray, " notes"]:
    """The found labels with parts of one kind renamed so that most notes agree.

    The renaming is one to one and stays within a kind (the assignment problem: Kuhn 1955).

    Args:
        true: Where each note belongs.
        found: Where it was put, -1 for nowhere.
        kinds: Of each part, its instrument; parts of equal kind can stand for each other.
    """
    counts = confusion(true, found, len(kinds))
    names = np.arange(len(kinds) + 1)
    for kind in dict.fromkeys(kinds):
        own = np.flatnonzero([other == kind for other in kinds])
        rows, columns = require("scipy.optimize").linear_sum_assignment(
            counts[np.ix_(own, own)], maximize=True
        )
        names[own[columns]] = own[rows]
    names[-1] = -1  # Which is where the label -1 points.
    return names[found]


def accuracy(counts: Int64[np.ndarray, "*draws classes classes_and_none"]) -> Float64[np.ndarray, "*draws"]:
    """Share of notes that were given to their class; NaN without notes."""
    right = np.trace(counts, axis1=-2, axis2=-1)
    return _over(right, counts.sum((-2, -1)))


def coverage(counts: Int64[np.ndarray, "*draws classes classes_and_none"]) -> Float64[np.ndarray, "*draws"]:
    """Share of notes that were given to any class."""
    everything = counts.sum((-2, -1))
    return _over(everything - counts[..., -1].sum(-1), everything)


def f1(
    counts: Int64[np.ndarray, "*draws classes classes_and_none"],
) -> Float64[np.ndarray, "*draws classes"]:
    """F1 of each class, harmonic mean of precision and recall; NaN for one that neither has notes nor got any."""
    right = np.diagonal(counts[..., :-1], axis1=-2, axis2=-1)
    return _over(2 * right, counts.sum(-1) + counts[..., :-1].sum(-2))


def macro_f1(counts: Int64[np.ndarray, "*draws classes classes_and_none"]) -> Float64[np.ndarray, "*draws"]:
    """Mean F1 of the classes that have it: each counts the same, however few notes it has."""
    each = f1(counts)
    known = np.isfinite(each)
    return _over(np.where(known, each, 0.0).sum(-1), known.sum(-1))


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often labels of some stated confidence are right.

    Attributes:
        count: Notes in each of `BINS` equally wide bins of confidence (bins,).
        confidence: Sum of their confidences (bins,).
        right: How many are right (bins,).
    """

    count: Int64[np.ndarray, " bins"]
    confidence: Float64[np.ndarray, " bins"]
    right: Int64[np.ndarray, " bins"]

    @classmethod
    def of(
        cls, confidence: Float[np.ndarray, " notes"], right: Bool[np.ndarray, " notes"], *, bins: int = BINS
    ) -> Calibration:
        """Sort notes into bins; a confidence on an edge belongs to the lower bin."""
        place = np.clip(np.ceil(np.asarray(confidence, np.float64) * bins).astype(np.int64) - 1, 0, bins - 1)
        return cls(
            np.bincount(place, minlength=bins).astype(np.int64),
            np.bincount(place, weights=confidence, minlength=bins),
            np.bincount(place[right], minlength=bins).astype(np.int64),
        )

    def table(self) -> Float64[np.ndarray, "three bins"]:
        """Counts, sums of confidences and counts of right labels, one above the other: they add up over songs."""
        return np.stack([self.count, self.confidence, self.right]).astype(np.float64)

    @property
    def error(self) -> float:
        """Expected calibration error."""
        return float(calibration_error(self.table()))


def calibration_error(
    table: Float64[np.ndarray, "*draws three bins"],
) -> Float64[np.ndarray, "*draws"]:
    """Expected calibration error of sums of `Calibration.table` (Guo et al. 2017, arXiv 1706.04599, equation 5).

    The mean over notes of the distance between the accuracy and the mean confidence of a note's bin.
    """
    count, confidence, right = np.moveaxis(table, -2, 0)
    return _over(np.abs(confidence - right).sum(-1), count.sum(-1))


def best_right(
    true: Int64[np.ndarray, " notes"],
    alternatives: Sequence[Int64[np.ndarray, " notes"]],
    *,
    stretch: int = BEST_NOTES,
) -> Int64[np.ndarray, " stretches"]:
    """Right notes of the best alternative in each stretch of `stretch` notes."""
    right = np.stack([found == true for found in alternatives])
    starts = np.arange(0, len(true), stretch)
    return np.add.reduceat(right, starts, axis=1, dtype=np.int64).max(0)


def part_rolls(
    onset_quarters: Float64[np.ndarray, " notes"],
    duration_quarters: Float64[np.ndarray, " notes"],
    pitch: Int64[np.ndarray, " notes"],
    labels: Int64[np.ndarray, " notes"],
    parts: int,
    steps: int,
) -> Bool[np.ndarray, "parts steps rows"]:
    """Which keys sound in each part at each sixteenth, as the published figures see music: without onsets.

    A drum counts as the key that it is written as.
    """
    return RollNotes.of(onset_quarters, duration_quarters, rows_of(pitch), labels).rolls(parts, steps)


def consistency(
    mixture: Bool[np.ndarray, "steps rows"], found: Bool[np.ndarray, "parts steps rows"]
) -> float:
    """The published consistency, 0 at best (Han et al. 2022, arXiv 2209.02696, as computed by their code).

    Mean over cells of the exclusive or of the mixture and the union of all parts. Whatever puts each note into any part
    has 0: everything to one piano, every note to all parts. It cannot rank separations that only label notes.
    """
    return float(np.mean(mixture ^ found.any(0)))


def diversity(
    true: Bool[np.ndarray, "parts steps rows"],
    found: Bool[np.ndarray, "parts steps rows"],
    mixture: Bool[np.ndarray, "steps rows"],
) -> float:
    """The published diversity, larger said to be better, from the same code.

    Mean over cells of all parts of the exclusive or of the truth and the found parts within the mixture. It is the
    share of wrong cells: a perfect separation has 0, and giving every note to a wrong part is most diverse.
    """
    return float(np.mean(true ^ (found & mixture)))


def _over(top: ArrayLike, under: ArrayLike) -> np.ndarray:
    """A ratio, NaN over 0."""
    above, below = np.asarray(top, np.float64), np.asarray(under, np.float64)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
