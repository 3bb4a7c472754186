"""Loudness for notes that have none: how players shape a score that says nothing about it.

After the rule system of KTH (Friberg, Bresin and Sundberg 2006, Advances in Cognitive Psychology 2, 145-161): each rule
changes the sound level of every note by some decibels, which add up, and a factor k says how much of all of it. What
follows is those of its rules that need no analysis but bars and pitches, with the metrical accents of Lerdahl and
Jackendoff (1983, chapter 4). Velocity is to level as Dannenberg (2006, The interpretation of MIDI velocity) measured:
amplitude grows with its square.

With k = 1 the levels of a piece spread by 3 dB (standard deviation; medians 2.6 to 3.0 by collection of the corpus).
So they do where loudness was written: 2.8 dB in the 115 files of Mutopia that do, quartiles 2.2 and 3.6.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.representations.bar_table import STEPS_PER_QUARTER
from ondes.representations.metres import DENOMINATORS, Metre
from ondes.representations.note_sequence import DRUMS, NoteSequence

MEAN_VELOCITY = 76
"""Of shaped notes, in the middle of their levels: mezzo-forte."""
SOFTEST, LOUDEST = 24, 118

ACCENT_DB = (-1.5, -1.0, 0.0, 1.0, 2.0)
"""Of places between the halves of units, halves, units, groups of beats and bars, in the order of `Metre.level`."""
DRUM_ACCENT = 1.5
"""Drums tell metre by loudness more than others do."""
HIGH_LOUD_DB = 3.0
"""An octave above the middle of the part: the rule High loud."""
HIGH_LOUD_OCTAVES = 1.0
"""Notes further away from the middle get no more."""
PHRASE_DB, PERIOD_DB = 3.0, 2.0
"""From the ends of a phrase, and of a period of phrases, to its top: the rule Phrase arch, at two levels."""
PHRASE_BARS, PERIOD_PHRASES = 4, 4
MELODY_DB, ACCOMPANIMENT_DB = 2.0, -2.0
NOISE_DB = 0.6
"""Standard deviation: no hand is exact (the rule Noise)."""


def shaped(
    sequence: NoteSequence, *, seed: int, k: float = 1.0, mean_velocity: int = MEAN_VELOCITY
) -> NoteSequence:
    """The same notes with a loudness for those whose velocity is 0; others stay as they are.

    The level in decibels is k times the sum of: an accent by the place in the bar, stronger for drums; height within
    the part; an arch over phrases of three to five bars that end where least happens, and over four of them; melody
    over accompaniment; noise. The mean level of the shaped notes is that of `mean_velocity`.

    Args:
        sequence: Notes, sorted.
        seed: Chooses where phrases have their tops, and the noise.
        k: How much of it; 0 gives equal velocities.
        mean_velocity: In the middle of the levels.

    Raises:
        ValueError: If k is negative.
    """
    if k < 0:
        raise ValueError(f"k is {k}; at least 0 is allowed")
    unknown = sequence.velocity == 0
    if not unknown.any():
        return sequence
    generator = np.random.default_rng(seed)
    level_db = metrical_db(sequence) + height_db(sequence) + melody_db(sequence)
    level_db += arch_db(sequence, generator) + generator.normal(0.0, NOISE_DB, len(sequence))
    level_db -= level_db[unknown].mean()
    velocity = np.round(velocity_at(k * level_db) * mean_velocity / MEAN_VELOCITY)
    softest, loudest = min(SOFTEST, mean_velocity), max(LOUDEST, mean_velocity)
    velocity = np.clip(velocity, softest, loudest).astype(np.int64)
    return replace(sequence, velocity=np.where(unknown, velocity, sequence.velocity))


def velocity_at(level_db: Float64[np.ndarray, " notes"]) -> Float64[np.ndarray, " notes"]:
    """Velocities for levels above that of `MEAN_VELOCITY`: level = 40 log10(velocity ratio), Dannenberg (2006)."""
    return MEAN_VELOCITY * 10 ** (level_db / 40)


def metrical_db(sequence: NoteSequence) -> Float64[np.ndarray, " notes"]:
    """Accents by the place in the bar."""
    metre = np.stack([sequence.bars.numerator, sequence.bars.denominator])[:, sequence.bar]
    places, which = np.unique(np.stack([*metre, sequence.position]), axis=1, return_inverse=True)
    accents = np.array([ACCENT_DB[_level(*place)] for place in places.T.tolist()], np.float64)
    accent = accents[which.reshape(-1)] if len(sequence) else np.zeros(0)
    return np.where(sequence.instrument == DRUMS, DRUM_ACCENT, 1.0) * accent


def height_db(sequence: NoteSequence) -> Float64[np.ndarray, " notes"]:
    """Higher notes of a part are louder, 3 dB an octave as in High loud; here from the part's own mean pitch."""
    part = sequence.instrument * 4 + sequence.part_number
    _, which = np.unique(part, return_inverse=True)
    which = which.reshape(-1)
    mean = np.bincount(which, sequence.pitch) / np.maximum(np.bincount(which), 1)
    octaves = (sequence.pitch - mean[which]) / 12
    level_db = HIGH_LOUD_DB * np.clip(octaves, -HIGH_LOUD_OCTAVES, HIGH_LOUD_OCTAVES)
    return np.where(sequence.instrument == DRUMS, 0.0, level_db)


def melody_db(sequence: NoteSequence) -> Float64[np.ndarray, " notes"]:
    """What is on top is brought out over the rest; drums stay as they are."""
    level_db = np.where(skyline(sequence), MELODY_DB, ACCOMPANIMENT_DB)
    return np.where(sequence.instrument == DRUMS, 0.0, level_db)


def skyline(sequence: NoteSequence) -> Bool[np.ndarray, " notes"]:
    """Notes above which nothing pitched sounds when they begin: the melody (Uitdenbogerd and Zobel 1999)."""
    onset = np.round(sequence.onset_quarters * STEPS_PER_QUARTER, 3)
    end = np.round(onset + sequence.duration_steps, 3)
    pitched = np.flatnonzero(sequence.instrument != DRUMS)
    # Of notes that begin together the highest comes first and covers the others.
    order = pitched[np.lexsort((-sequence.pitch[pitched], onset[pitched]))]
    top = np.zeros(len(sequence), np.bool_)
    sounding: list[tuple[int, float]] = []
    rows = zip(order.tolist(), onset[order].tolist(), end[order].tolist(), strict=True)
    for note, begins, ends in rows:
        while sounding and sounding[0][1] <= begins:
            heapq.heappop(sounding)
        pitch = sequence.pitch.item(note)
        top[note] = not sounding or -sounding[0][0] <= pitch
        heapq.heappush(sounding, (-pitch, ends))
    return top


def arch_db(sequence: NoteSequence, generator: np.random.Generator) -> Float64[np.ndarray, " notes"]:
    """Phrases, and periods of phrases, that grow to a top and fall back: parabolas as in Phrase arch.

    The top lies from a half to three quarters of the way. Ends are `PHRASE_DB` below it.

    Args:
        sequence: The notes.
        generator: Chooses where the tops lie.
    """
    bounds = phrase_bounds(sequence)
    level_db = np.zeros(len(sequence))
    for edges, depth_db in ((bounds, PHRASE_DB), (_every(bounds, PERIOD_PHRASES), PERIOD_DB)):
        quarters = np.append(sequence.bars.start_quarters, sequence.bars.end_quarters)[edges]
        which = np.clip(np.searchsorted(edges, sequence.bar, side="right") - 1, 0, len(edges) - 2)
        length = np.maximum(quarters[which + 1] - quarters[which], 1e-9)
        place = np.clip((sequence.onset_quarters - quarters[which]) / length, 0.0, 1.0)
        top = generator.uniform(0.5, 0.75, len(edges) - 1)[which]
        away = np.where(place < top, (top - place) / top, (place - top) / (1 - top))
        level_db -= depth_db * away**2
    return level_db


def phrase_bounds(sequence: NoteSequence) -> Int64[np.ndarray, " bounds"]:
    """Bars at which phrases begin, and the one behind the last.

    A phrase has three to five bars, and ends before the bar line with the fewest notes in the quarter note before it;
    of equal ones the nearest to four bars counts, then the earlier (after the grouping by proximity of Lerdahl and
    Jackendoff 1983, chapter 3).
    """
    count = len(sequence.bars)
    left_steps = sequence.bars.length_quarters[sequence.bar] * STEPS_PER_QUARTER - sequence.position
    late = np.bincount(sequence.bar[left_steps <= STEPS_PER_QUARTER], minlength=count)
    bounds = [0]
    while count - bounds[-1] > PHRASE_BARS + 1:
        ends = [bounds[-1] + bars for bars in (4, 3, 5)]
        bounds.append(min(ends, key=lambda end: late.item(end - 1)))
    return np.array([*bounds, max(count, 1)], np.int64)


def _every(bounds: Int64[np.ndarray, " bounds"], phrases: int) -> Int64[np.ndarray, " fewer"]:
    """The beginnings of every so many phrases, and the end."""
    return np.append(bounds[:-1][::phrases], bounds[-1])


def _level(numerator: int, denominator: int, position: int) -> int:
    """How strong a place is, by steps from the bar's start."""
    if denominator not in DENOMINATORS:
        return 4 if position == 0 else 0
    return Metre(numerator, denominator).level(Fraction(position, STEPS_PER_QUARTER))
