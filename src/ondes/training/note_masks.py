"""What of a window of notes is to be learned: patterns that make a composer continue, infill, arrange and vary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from ondes.representations.note_sequence import PARTS, NoteSequence
from ondes.representations.note_tokens import (
    BAR,
    DURATION,
    FIELDS,
    INSTRUMENT,
    PART_NUMBER,
    PITCH,
    POSITION,
)

Free = Bool[np.ndarray, "notes fields"]

PART_KNOWN_SHARE = 0.5
"""How often the instrument and part number of notes to fill in are given."""
PER_FIELD_SHARE = 0.3
"""How often each field has a level of its own, so that one may be nearly known while another is not."""


class Pattern(NamedTuple):
    """Which tokens of a window may be hidden, and whether its notes are in the order for filling in.

    Attributes:
        free: Tokens that may be hidden.
        moved: Notes that come last in their bar, or none where the order is that of writing.
    """

    free: Free
    moved: Bool[np.ndarray, " notes"] | None = None


def _nothing(sequence: NoteSequence) -> Free:
    return np.zeros((len(sequence), len(FIELDS)), np.bool_)


def whole(sequence: NoteSequence, _: np.random.Generator) -> Pattern:
    """Everything: composing from nothing."""
    return Pattern(~_nothing(sequence))


def suffix(sequence: NoteSequence, rng: np.random.Generator) -> Pattern:
    """All notes from one on: continuation."""
    free = _nothing(sequence)
    free[int(rng.integers(1, max(len(sequence) * 7 // 8, 2))) :] = True
    return Pattern(free)


def some_notes(sequence: NoteSequence, rng: np.random.Generator) -> Pattern:
    """A random share of the notes, each as a whole, where they are: variation."""
    free = _nothing(sequence)
    free[rng.random(len(sequence)) < rng.uniform(0.1, 0.9)] = True
    return Pattern(free)


def _fields(*columns: int) -> Callable[[NoteSequence, np.random.Generator], Pattern]:
    def pattern(sequence: NoteSequence, _: np.random.Generator) -> Pattern:
        free = _nothing(sequence)
        free[:, columns] = True
        return Pattern(free)

    return pattern


def _to_fill_in(
    sequence: NoteSequence, notes: Bool[np.ndarray, " notes"], rng: np.random.Generator
) -> Pattern:
    """Notes of which the bar is known, and sometimes who plays them."""
    free = _nothing(sequence)
    free[notes] = True
    free[:, BAR] = False
    if rng.random() < PART_KNOWN_SHARE:
        free[:, [INSTRUMENT, PART_NUMBER]] = False
    return Pattern(free, notes)


def bars(sequence: NoteSequence, rng: np.random.Generator) -> Pattern:
    """All notes of a few bars: infilling."""
    last = int(sequence.bar[-1])
    length = int(rng.integers(1, max(last * 2 // 3, 1) + 1))
    first = int(rng.integers(0, max(last + 1 - length, 0) + 1))
    return _to_fill_in(sequence, (sequence.bar >= first) & (sequence.bar < first + length), rng)


def parts(sequence: NoteSequence, rng: np.random.Generator) -> Pattern:
    """All notes of some parts: a new part to the others; `bars` where there is but one part."""
    part = sequence.instrument * PARTS + sequence.part_number
    there = np.unique(part)
    if len(there) < 2:
        return bars(sequence, rng)
    chosen = rng.choice(there, size=int(rng.integers(1, len(there))), replace=False)
    return _to_fill_in(sequence, np.isin(part, chosen), rng)


PATTERNS: dict[str, tuple[float, Callable[[NoteSequence, np.random.Generator], Pattern]]] = {
    "whole": (0.36, whole),
    "bars": (0.22, bars),
    "parts": (0.12, parts),
    "suffix": (0.08, suffix),
    "some_notes": (0.06, some_notes),
    "pitch": (0.06, _fields(PITCH)),
    "rhythm": (0.05, _fields(BAR, POSITION, DURATION)),
    "instrument": (0.05, _fields(INSTRUMENT, PART_NUMBER)),
}
"""How often each pattern is drawn, and its function."""


NOTE_PATTERNS = ("whole", "suffix", "some_notes")
"""Patterns of whole notes in the order of writing, for networks of continuous features."""


def draw_pattern(
    sequence: NoteSequence, rng: np.random.Generator, names: Sequence[str] = tuple(PATTERNS)
) -> Pattern:
    """A pattern for a window of notes, whose bars count from 0."""
    shares = np.array([PATTERNS[name][0] for name in names])
    _, function = PATTERNS[names[rng.choice(len(shares), p=shares / shares.sum())]]
    return function(sequence, rng)


def draw_levels(rng: np.random.Generator, stratum: int, strata: int) -> Float32[np.ndarray, " fields"]:
    """Probability of each field of being hidden.

    One for all, in the given one of several equal parts of 0 to 1; or, now and then, each its own.
    """
    common = (stratum + rng.random()) / strata
    own = rng.random(len(FIELDS))
    return np.where(rng.random() < PER_FIELD_SHARE, own, common).astype(np.float32)
