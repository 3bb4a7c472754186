"""Separations without a network: the baselines of Arranger (Dong et al. 2021, arXiv 2107.05916), and the skyline.

They know of each part how often it plays each key in training pieces, which is all that is fitted, so they work for any
set of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from ondes.evaluation.extras import require
from ondes.representations.note_sequence import NoteSequence

Part = tuple[int, int]
"""Instrument and number of a part, as in `NoteSequence`."""

KEYS = 128
MIDDLE = 60.0
"""Height of a part that no training piece has."""
BUSY = 1e9
"""Distance to a part that is still playing another note; larger than any between pitches."""


@dataclass(frozen=True, eq=False)
class PartPitches:
    """How often parts play each key in training pieces.

    Attributes:
        counts: Part to notes of each pitch (128,).
    """

    counts: Mapping[Part, Int64[np.ndarray, " keys"]]

    @classmethod
    def of(cls, pieces: Iterable[NoteSequence]) -> PartPitches:
        """Count pieces."""
        counts: dict[Part, np.ndarray] = {}
        for piece in pieces:
            pairs = np.stack([piece.instrument, piece.part_number], 1)
            for instrument, number in np.unique(pairs, axis=0).tolist():
                own = piece.pitch[(piece.instrument == instrument) & (piece.part_number == number)]
                before = counts.get((instrument, number), np.zeros(KEYS, np.int64))
                counts[instrument, number] = before + np.bincount(own, minlength=KEYS)
        return cls(counts)

    def table(self, parts: Sequence[Part]) -> Int64[np.ndarray, "parts keys"]:
        """The counts of some parts, zeros for those that no piece has."""
        return np.stack([self.counts.get(part, np.zeros(KEYS, np.int64)) for part in parts])

    def downwards(self, parts: Sequence[Part]) -> Int64[np.ndarray, " parts"]:
        """Indices of parts from the one with the highest mean pitch to the lowest."""
        table = self.table(parts)
        notes = table.sum(1)
        heights = np.where(notes > 0, table @ np.arange(KEYS) / np.maximum(notes, 1), MIDDLE)
        return np.argsort(-heights, kind="stable")


def most_common(
    piece: NoteSequence, parts: Sequence[Part], pitches: PartPitches
) -> Int64[np.ndarray, " notes"]:
    """Every note to the part that has most notes in training pieces."""
    return np.full(len(piece), pitches.table(parts).sum(1).argmax(), np.int64)


def zone(piece: NoteSequence, parts: Sequence[Part], pitches: PartPitches) -> Int64[np.ndarray, " notes"]:
    """The keyboard cut into zones, one a part, where most notes of the training pieces come out right.

    Zones lie in the order of the parts' mean pitches, and may be empty.
    """
    order = pitches.downwards(parts)[::-1]
    return order[zones(pitches.table(parts)[order])][piece.pitch]


def zones(counts: Int64[np.ndarray, "parts keys"]) -> Int64[np.ndarray, " keys"]:
    """The row each key belongs to, not descending, such that the counts of all keys in their rows sum to most."""
    running = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    best = (
        running.copy()
    )  # row, end: notes that are right below the end when the rows up to this one share them
    for row in range(1, len(counts)):
        best[row] += np.maximum.accumulate(best[row - 1] - running[row])
    place, found = counts.shape[1], np.zeros(counts.shape[1], np.int64)
    for row in range(len(counts) - 1, 0, -1):
        start = int(np.argmax((best[row - 1] - running[row])[: place + 1]))
        found[start:place] = row
        place = start
    return found


def skyline(piece: NoteSequence, parts: Sequence[Part], pitches: PartPitches) -> Int64[np.ndarray, " notes"]:
    """The highest note that sounds to the highest part, the next to the next; the lowest part takes the rest.

    Uitdenbogerd and Zobel (1999) take melodies from the top so; with more than two parts it is their rule again for
    what is left. A note's place is counted where it begins, among all that sound then.
    """
    order = pitches.downwards(parts)
    onset, pitch = piece.onset_quarters, piece.pitch
    release = onset + piece.duration_quarters
    above = np.zeros(len(piece), np.int64)
    first = 0
    longest = float(piece.duration_quarters.max(initial=0.0))
    by_time = np.argsort(onset, kind="stable")
    times = onset[by_time]
    while first < len(times):
        last = int(np.searchsorted(times, times[first], side="right"))
        reach = int(np.searchsorted(times, times[first] - longest))
        near = by_time[reach:last]
        sounding = near[(release[near] > times[first]) | (onset[near] == times[first])]
        new = by_time[first:last]
        above[new] = (pitch[sounding] > pitch[new][:, None]).sum(1)
        first = last
    return order[np.minimum(above, len(parts) - 1)]


def closest_pitch(
    piece: NoteSequence, true: Int64[np.ndarray, " notes"], parts: int, *, one_at_a_time: bool = False
) -> Int64[np.ndarray, " notes"]:
    """Each note to the part whose last note was nearest in pitch; the first note of each part is told.

    Telling the first notes is how the baseline is defined; no other method of the report is told anything.

    Args:
        piece: The notes, in order.
        true: Labels, of which only the first of each part is read, and which part comes in when.
        parts: How many.
        one_at_a_time: Notes that begin together go to different parts, and to parts that are silent where possible;
            only where there are at most as many as parts, as in the paper's code.
    """
    onset, pitch = piece.onset_quarters, piece.pitch
    release = onset + piece.duration_quarters
    entry = {int(np.flatnonzero(true == part)[0]): part for part in range(parts) if (true == part).any()}
    last_pitch = np.full(parts, np.inf)  # infinitely far before a part has come in
    busy_until = np.full(parts, -np.inf)
    found = np.zeros(len(piece), np.int64)
    by_time = np.argsort(onset, kind="stable")
    for chord in np.split(by_time, np.flatnonzero(np.diff(onset[by_time])) + 1):
        told = {index: entry[note] for index, note in enumerate(chord.tolist()) if note in entry}
        for index, part in told.items():
            last_pitch[part] = pitch[chord[index]]
        distance = np.square(last_pitch - pitch[chord][:, None])
        if one_at_a_time and len(chord) <= parts:
            found[chord] = _spread(distance, busy_until > onset[chord[0]], told)
        else:
            found[chord] = distance.argmin(1)
            for index, part in told.items():
                found[chord[index]] = part
        last_pitch[found[chord]] = pitch[chord]
        busy_until[found[chord]] = release[chord]
    return found


def _spread(
    distance: Float64[np.ndarray, "chord parts"], busy: np.ndarray, told: Mapping[int, int]
) -> Int64[np.ndarray, " chord"]:
    """One part for each note of a chord, with the smallest sum of distances."""
    cost = np.where(np.isfinite(distance), distance, BUSY * 1e3) + BUSY * busy
    for index, part in told.items():
        cost[index, part] = -BUSY * 1e6
    return require("scipy.optimize").linear_sum_assignment(cost)[1]


Baseline = Callable[[NoteSequence, Int64[np.ndarray, " notes"], list[Part], PartPitches], np.ndarray]
"""Piece, true labels (read by closest pitch alone), parts and training pieces to labels."""

BASELINES: dict[str, Baseline] = {
    "most common": lambda piece, _, parts, pitches: most_common(piece, parts, pitches),
    "zone": lambda piece, _, parts, pitches: zone(piece, parts, pitches),
    "skyline": lambda piece, _, parts, pitches: skyline(piece, parts, pitches),
    "closest pitch": lambda piece, true, parts, _: closest_pitch(piece, true, len(parts)),
    "closest pitch, one at a time": lambda piece, true, parts, _: closest_pitch(
        piece, true, len(parts), one_at_a_time=True
    ),
}
