"""Bands made from scores: a beat is found, and drums, a bass and chords are added to what is there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ondes.controls import Controls
from ondes.datasets.augment import sort
from ondes.datasets.grooves import groove_strokes
from ondes.score import Notes, Part

PERIODS_S = np.arange(0.33, 0.86, 0.005)
"""Quarter notes looked for: 70 to 180 a minute."""

BASS_PROGRAMS = (32, 33, 33, 33, 34, 34, 35, 36, 37, 38, 39, 43, 58)
COMPING_PROGRAMS = (
    0,
    0,
    1,
    2,
    4,
    5,
    7,
    16,
    17,
    18,
    21,
    24,
    25,
    25,
    26,
    27,
    27,
    28,
    29,
    30,
    46,
    48,
    50,
    61,
    80,
    81,
    89,
    90,
)
BASS_LOW, CHORD_LOW = 28, 52
DRUM_LENGTH_S = 0.1

Row = tuple[float, float, int, float]
"""Onset and release in seconds, pitch, velocity."""

BASS_RHYTHMS = ((0.0,), (0.0, 0.5), (0.0, 0.75), (0.0, 0.25, 0.5, 0.75), (0.5,))
COMPING_RHYTHMS = ((0.0,), (0.5,), (0.0, 0.5), (0.0, 0.75), (0.25, 0.5, 0.75), (0.0, 0.25, 0.5, 0.75))


@dataclass(frozen=True)
class Beat:
    """Regular beats: `period_s` apart, one of them at `phase_s`."""

    period_s: float
    phase_s: float


def find_beat(notes: Notes) -> Beat:
    """The quarter note that most onsets agree with.

    Onsets are summed on a circle, exp(2 pi i onset / period), for every period; the one with the longest
    sums for beats and half beats wins. Of its four sixteenths the one with most notes is the beat. Good
    enough where time is exact, as in engraved scores.
    """
    onsets_s = np.unique(np.round(notes.onset_s, 3))
    if len(onsets_s) < 4:
        return Beat(0.5, float(onsets_s[0]) if len(onsets_s) else 0.0)
    angles = 2 * np.pi * onsets_s[None, :] / PERIODS_S[:, None]
    whole, half = np.exp(1j * angles).mean(axis=1), np.exp(2j * angles).mean(axis=1)
    best = int(np.argmax(np.abs(whole) + np.abs(half)))
    period_s = float(PERIODS_S[best])
    sixteenth_s = period_s / 4
    turn = np.angle(np.exp(2j * np.pi * onsets_s / sixteenth_s).mean()) / (2 * np.pi)
    candidates_s = (turn + np.arange(4)) * sixteenth_s
    off = (notes.onset_s[None] - candidates_s[:, None] + sixteenth_s / 2) % period_s
    struck = (off < sixteenth_s).sum(axis=1)
    return Beat(period_s, float(candidates_s[np.argmax(struck)] % period_s))


def harmony(notes: Notes, starts_s: NDArray[np.float64], length_s: float) -> NDArray[np.float64]:
    """How long each pitch class sounds in each stretch of time, (stretches, 12), in seconds."""
    pitched = notes.select(~notes.is_drum)
    ends_s = starts_s[:, None] + length_s
    overlap = np.minimum(pitched.key_release_s[None], ends_s) - np.maximum(
        pitched.onset_s[None], starts_s[:, None]
    )
    classes = np.eye(12)[pitched.pitch % 12]
    return np.maximum(overlap, 0.0) @ classes


def lowest_pitches(notes: Notes, starts_s: NDArray[np.float64], length_s: float) -> NDArray[np.int64]:
    """Lowest pitch that sounds in each stretch of time, (stretches,); -1 where nothing does."""
    pitched = notes.select(~notes.is_drum)
    sounds = (pitched.onset_s[None] < starts_s[:, None] + length_s) & (
        pitched.key_release_s[None] > starts_s[:, None]
    )
    lowest = np.where(sounds, pitched.pitch[None], 1000).min(axis=1, initial=1000)
    return np.where(lowest == 1000, -1, lowest)


def add_drums(notes: Notes, generator: np.random.Generator, beat: Beat) -> Notes:
    """A groove over the whole length (see `grooves`)."""
    strokes = groove_strokes(
        generator,
        beat_s=beat.period_s,
        start_s=beat.phase_s,
        end_s=notes.duration_s - DRUM_LENGTH_S,
        beats_a_bar=3 if generator.random() < 0.12 else 4,
    )
    rows = [(time_s, time_s + DRUM_LENGTH_S, drum, strength) for time_s, drum, strength in strokes]
    return add_part(notes, rows, name="Drums", program=0, is_drum=True)


def add_bass(notes: Notes, generator: np.random.Generator, beat: Beat) -> Notes:
    """A bass that follows the lowest notes, an octave class at a time, with fifths and passing octaves."""
    starts_s = np.arange(beat.phase_s, notes.duration_s - beat.period_s, beat.period_s)
    rhythm = BASS_RHYTHMS[int(generator.integers(len(BASS_RHYTHMS)))]
    touch = generator.uniform(0.5, 1.0)
    step = min(np.diff([*rhythm, 1.0 + rhythm[0]])) * beat.period_s
    rows: list[Row] = []
    for start_s, pitch in zip(starts_s, lowest_pitches(notes, starts_s, beat.period_s), strict=True):
        if pitch < 0:
            continue
        root = BASS_LOW + (int(pitch) - BASS_LOW) % 12
        for place in rhythm:
            interval = int(generator.choice([0, 0, 0, 0, 7, 12])) if place else 0
            onset_s = start_s + place * beat.period_s
            rows.append((onset_s, onset_s + touch * step, root + interval, 95.0 if not place else 82.0))
    return add_part(notes, rows, name="Bass", program=int(generator.choice(BASS_PROGRAMS)))


def add_comping(notes: Notes, generator: np.random.Generator, beat: Beat) -> Notes:
    """Chords of the three or four pitch classes that sound longest in each half bar, in one rhythm."""
    half_bar_s = 2 * beat.period_s
    starts_s = np.arange(beat.phase_s, notes.duration_s - half_bar_s, half_bar_s)
    rhythm = COMPING_RHYTHMS[int(generator.integers(len(COMPING_RHYTHMS)))]
    voices, touch = int(generator.integers(3, 5)), generator.uniform(0.25, 1.0)
    low = CHORD_LOW + int(generator.integers(-4, 9))
    step = min(np.diff([*rhythm, 1.0 + rhythm[0]])) * half_bar_s
    rows: list[Row] = []
    for start_s, weights in zip(starts_s, harmony(notes, starts_s, half_bar_s), strict=True):
        classes = [int(c) for c in np.argsort(-weights)[:voices] if weights[c] > 0.1 * weights.max() > 0]
        for place in rhythm:
            onset_s = start_s + place * half_bar_s
            rows += [(onset_s, onset_s + touch * step, low + (c - low) % 12, 75.0) for c in classes]
    return add_part(notes, rows, name="Chords", program=int(generator.choice(COMPING_PROGRAMS)))


def make_band(notes: Notes, generator: np.random.Generator) -> Notes:
    """The score with some of drums, bass and chords added, at least one of them.

    Call it while times are still exact. The chance of each is larger where the score has nothing of its kind.
    """
    beat = find_beat(notes)
    has_drums = bool(notes.is_drum.any())
    wanted = [generator.random() < chance for chance in (0.0 if has_drums else 0.85, 0.6, 0.5)]
    wanted[1] |= not any(wanted)
    for add, chosen in zip((add_drums, add_bass, add_comping), wanted, strict=True):
        notes = add(notes, generator, beat) if chosen else notes
    return notes


def add_part(notes: Notes, rows: list[Row], *, name: str, program: int, is_drum: bool = False) -> Notes:
    """Another part; without rows the notes stay as they are."""
    if not rows:
        return notes
    table = np.array(rows, np.float64)
    count = len(rows)
    new = {
        "onset_s": table[:, 0],
        "release_s": table[:, 1],
        "key_release_s": table[:, 1],
        "pitch": table[:, 2].astype(np.int64),
        "velocity": np.clip(np.round(table[:, 3]), 1, 127).astype(np.int64),
        "program": np.full(count, 0 if is_drum else program),
        "is_drum": np.full(count, is_drum),
        "part": np.full(count, len(notes.parts)),
    }
    arrays = {key: np.concatenate([getattr(notes, key), value]) for key, value in new.items()}
    part = Part(name, 0 if is_drum else program, is_drum, Controls())
    duration_s = max(notes.duration_s, float(table[:, 1].max()))
    return sort(replace(notes, **arrays, parts=(*notes.parts, part), duration_s=duration_s))
