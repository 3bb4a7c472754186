"""Piano rolls of a mixture and of its parts as Mixture2Music has them: sixteenths, 72 rows, a layer for each part.

Han et al. (2022), arXiv 2209.02696. Rolls say where a key sounds and nothing else: notes of one part and key that
touch are one afterwards, and loudness is lost. Bars and sixteenths are those of the score; the published code guesses a
beat and keeps it, whatever the tempo does. Which track is a song's melody, which that code takes out of the mixtures it
trains on, is in a list that cannot be had: nothing is taken out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from ondes.representations.instrument_names import instrument_name
from ondes.representations.note_sequence import DRUMS, PARTS, NoteSequence

STEPS_PER_QUARTER = 4
BAR_STEPS = 16
"""Of a 4/4 bar, the only metre there is."""
WINDOW_STEPS = 4 * BAR_STEPS
LOWEST, ROWS = 24, 72
"""Row 0 is MIDI 24, the last one 95."""

DRUM_GROUPS = (
    (35, 36),
    (38, 37, 39, 40),
    (42, 44),
    (45, 41, 43),
    (46,),
    (48, 47),
    (49, 55, 57),
    (50,),
    (51, 59),
)
"""Drums that share a row, the one first that stands for all: kick, snare, closed hat, low tom, open hat, mid tom,
crash, high tom, ride. Theirs are the last rows, those of the pitches 87 to 95."""
FIRST_DRUM_ROW = ROWS - len(DRUM_GROUPS)

FEWEST_NOTES = 51
"""Of a track that counts as a part of its song."""
FEWEST_PARTS = 2
LEAST_CELLS = 70
"""Of each bar of a window, in all layers: 1 % of the cells of a bar in six of them."""


@dataclass(frozen=True)
class RollPart:
    """A layer of the rolls.

    Attributes:
        name: What to call it.
        program: What plays it; `DRUMS` for drums.
        programs: Instruments whose notes belong to it.
        part_number: Which of several parts of these instruments alone; None for any of them.
    """

    name: str
    program: int
    programs: tuple[int, ...]
    part_number: int | None = None


FAMILIES = (
    RollPart("piano", 0, tuple(range(8))),
    RollPart("guitar", 25, tuple(range(24, 32))),
    RollPart("bass", 33, tuple(range(32, 40))),
    RollPart("strings", 49, tuple(range(48, 56))),
    RollPart("drums", DRUMS, (DRUMS,)),
)
"""The published layers; what is in none of them (organs, solo strings, winds and brass, synthesisers) is left out."""


def named_layers(pairs: Sequence[Sequence[int]]) -> tuple[RollPart, ...]:
    """Layers that are parts: pairs of instrument and number."""
    return tuple(
        RollPart(f"{instrument_name(instrument)} {number + 1}", instrument, (instrument,), number)
        for instrument, number in pairs
    )


_DRUM_ROW = {pitch: FIRST_DRUM_ROW + place for place, pitches in enumerate(DRUM_GROUPS) for pitch in pitches}


def rows_of(
    pitch: Int64[np.ndarray, " notes"], is_drum: Bool[np.ndarray, " notes"] | bool = False
) -> Int64[np.ndarray, " notes"]:
    """The row of each note; -1 for what has none: pitches below 24 and above 95, and rare drums."""
    drums = np.array([_DRUM_ROW.get(number, -1) for number in range(128)], np.int64)
    rows = np.where((pitch >= LOWEST) & (pitch < LOWEST + ROWS), pitch - LOWEST, -1)
    return np.where(is_drum, drums[pitch], rows)


@dataclass(frozen=True, eq=False)
class RollNotes:
    """Notes as runs of cells.

    Attributes:
        first: Sixteenth in which each begins (notes,).
        last: The sixteenth after its last one: `first` + 1 at least (notes,).
        row: Of the roll, -1 for none (notes,).
        part: Layer of the roll, -1 for none (notes,).
    """

    first: Int64[np.ndarray, " notes"]
    last: Int64[np.ndarray, " notes"]
    row: Int64[np.ndarray, " notes"]
    part: Int64[np.ndarray, " notes"]

    @classmethod
    def of(
        cls,
        onset_quarters: Float64[np.ndarray, " notes"],
        duration_quarters: Float64[np.ndarray, " notes"],
        row: Int64[np.ndarray, " notes"],
        part: Int64[np.ndarray, " notes"],
    ) -> RollNotes:
        """Both ends of each note at the nearest sixteenth; a note shorter than that has one cell."""
        first = np.floor(onset_quarters * STEPS_PER_QUARTER + 0.5).astype(np.int64)
        end = np.floor((onset_quarters + duration_quarters) * STEPS_PER_QUARTER + 0.5).astype(np.int64)
        return cls(first, np.maximum(end, first + 1), row, part)

    @property
    def steps(self) -> int:
        """Sixteenths to the end of the last note."""
        return int(self.last.max(initial=0))

    def rolls(
        self, parts: int, steps: int | None = None, *, start: int = 0
    ) -> Bool[np.ndarray, "parts steps rows"]:
        """The cells that sound, of `steps` sixteenths from `start`; without end where None."""
        steps = max(self.steps - start, 0) if steps is None else steps
        inside = (self.row >= 0) & (self.part >= 0) & (self.last > start) & (self.first < start + steps)
        edges = np.zeros((parts, steps + 1, ROWS), np.int32)
        place = self.part[inside], self.row[inside]
        np.add.at(edges, (place[0], np.maximum(self.first[inside] - start, 0), place[1]), 1)
        np.add.at(edges, (place[0], np.minimum(self.last[inside] - start, steps), place[1]), -1)
        return edges.cumsum(1)[:, :steps] > 0

    def means(self, values: Float[np.ndarray, "parts steps rows"]) -> Float64[np.ndarray, "notes parts"]:
        """Mean of the values of each layer over the cells of each note, 0 for notes without a row."""
        total = np.zeros((values.shape[0], values.shape[1] + 1, values.shape[2]))
        values.cumsum(1, dtype=np.float64, out=total[:, 1:])
        row = np.maximum(self.row, 0)
        means = (total[:, self.last, row] - total[:, self.first, row]) / (self.last - self.first)
        return np.where(self.row >= 0, means, 0.0).T


def to_rolls(
    sequence: NoteSequence, part: Int64[np.ndarray, " notes"], parts: int
) -> Bool[np.ndarray, "parts steps rows"]:
    """The rolls of a piece.

    Args:
        sequence: The piece.
        part: Layer of each note, -1 for those that are left out.
        parts: How many layers there are.
    """
    return roll_notes(sequence, part).rolls(parts)


def roll_notes(sequence: NoteSequence, part: Int64[np.ndarray, " notes"]) -> RollNotes:
    """The notes of a piece as runs of cells."""
    row = rows_of(sequence.pitch, sequence.instrument == DRUMS)
    return RollNotes.of(sequence.onset_quarters, sequence.duration_quarters, row, part)


def from_rolls(
    rolls: Bool[np.ndarray, "parts steps rows"], parts: Sequence[RollPart]
) -> dict[str, np.ndarray]:
    """The notes that rolls show: each run of sounding cells is one.

    Inverse of `to_rolls` up to what rolls lose: notes that touch, loudness, pitches without a row, and which drum of a
    group it was.

    Args:
        rolls: Cells that sound.
        parts: What the layers are.

    Returns:
        `onset_quarters`, `duration_quarters`, `pitch` and `part` (notes,), by layer, then row, then onset.
    """
    edge = np.zeros((rolls.shape[0], 1, rolls.shape[2]), np.int8)
    change = np.diff(np.concatenate([edge, rolls.astype(np.int8), edge], axis=1), axis=1).transpose(0, 2, 1)
    part, row, first = np.nonzero(change == 1)
    _, _, last = np.nonzero(change == -1)
    drums = np.array([layer.program == DRUMS for layer in parts])[part]
    stands = np.array([group[0] for group in DRUM_GROUPS])
    pitch = np.where(drums, stands[np.maximum(row - FIRST_DRUM_ROW, 0)], row + LOWEST)
    return {
        "onset_quarters": first / STEPS_PER_QUARTER,
        "duration_quarters": (last - first) / STEPS_PER_QUARTER,
        "pitch": pitch,
        "part": part,
    }


def layers_of(sequence: NoteSequence, parts: Sequence[RollPart]) -> Int64[np.ndarray, " notes"]:
    """The layer that each note belongs to by its instrument, -1 for none."""
    found = np.full(len(sequence), -1, np.int64)
    for index, part in enumerate(parts):
        own = np.isin(sequence.instrument, part.programs)
        if part.part_number is not None:
            own &= sequence.part_number == part.part_number
        found[own] = index
    return found


def unified(
    sequence: NoteSequence, parts: Sequence[RollPart] = FAMILIES, *, fewest_notes: int = FEWEST_NOTES
) -> Int64[np.ndarray, " notes"]:
    """The layer of each note, where one track stands for each layer: the one with the most notes.

    Other tracks are left out (-1), as are those with fewer than `fewest_notes`.
    """
    layers = layers_of(sequence, parts)
    voice = sequence.instrument * PARTS + sequence.part_number
    chosen = np.full(len(sequence), -1, np.int64)
    for index in range(len(parts)):
        own = layers == index
        voices, counts = np.unique(voice[own], return_counts=True)
        if len(counts) and counts.max() >= fewest_notes:
            chosen[own & (voice == voices[counts.argmax()])] = index
    return chosen


def refusal(sequence: NoteSequence, part: Int64[np.ndarray, " notes"]) -> str:
    """Why a song is not used, "" if it is: another metre than 4/4 anywhere, or fewer than two parts."""
    bars = sequence.bars
    if not ((bars.numerator == 4) & (bars.denominator == 4) & (bars.length_quarters == 4)).all():
        return "not in 4/4 throughout"
    found = len(np.unique(part[part >= 0]))
    return "" if found >= FEWEST_PARTS else f"{found} parts of those asked for"


def busy_windows(
    rolls: Bool[np.ndarray, "parts steps rows"], *, least_cells: int = LEAST_CELLS
) -> Int64[np.ndarray, " windows"]:
    """Where windows of four bars begin, a bar apart, that have so many sounding cells in each bar."""
    bars = rolls.shape[1] // BAR_STEPS
    per_step = rolls.sum((0, 2), dtype=np.int64)
    cells = per_step[: bars * BAR_STEPS].reshape(bars, BAR_STEPS).sum(1)
    busy = np.convolve(cells >= least_cells, np.ones(4, np.int64), "valid") == 4 if bars >= 4 else np.zeros(0)
    return np.flatnonzero(busy) * BAR_STEPS
