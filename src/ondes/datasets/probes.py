"""Scores of single notes and small chords, which show a synthesiser what each instrument sounds like."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ondes.datasets.arrange import DRUM_LENGTH_S, Row, add_part
from ondes.datasets.augment import add_pedal, mix, separate
from ondes.datasets.instruments import draw_program
from ondes.representations.ranges import DRUM_KEYS, HIGH, LOW
from ondes.score import Notes

DRUMS = -1
"""Stands among programs for the drum kit."""

LEAST_DRUM_STROKES = 20
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 7), (0, 12), (0, 5, 9), (0, 4, 7, 10), (0, 3, 6, 9), (0, 2), (0, 1))


def empty_notes(duration_s: float) -> Notes:
    """No notes, for so long."""
    nothing, integers = np.zeros(0), np.zeros(0, np.int64)
    columns = (nothing, nothing, nothing, integers, integers, integers, np.zeros(0, np.bool_), integers)
    return Notes(*columns, parts=(), duration_s=duration_s)


def probe_notes(generator: np.random.Generator, programs: list[int], *, seconds: float = 25.0) -> Notes:
    """Notes one after another, each program in turn for its share of the time.

    Pitches are drawn evenly over a program's range and five semitones beyond, velocities evenly from 20 to
    127, lengths from 0.06 to 3 s with short ones as likely as long ones; a quarter are chords, and pauses
    let some releases die away.

    Args:
        generator: Source of chance.
        programs: What to play; `DRUMS` is the kit.
        seconds: Length of the result.
    """
    notes = empty_notes(seconds)
    share_s = seconds / len(programs)
    for place, program in enumerate(programs):
        start_s, end_s = place * share_s, min((place + 1) * share_s, seconds - 0.1)
        rows = (
            _drum_rows(generator, start_s, end_s)
            if program == DRUMS
            else _melodic_rows(generator, program, start_s, end_s)
        )
        name = "Drums" if program == DRUMS else f"Program {program}"
        notes = add_part(notes, rows, name=name, program=max(program, 0), is_drum=program == DRUMS)
    notes = add_pedal(notes, generator, chance=0.1)
    return separate(mix(notes, generator) if generator.random() < 0.5 else notes)


def probe_scores(
    generator: np.random.Generator, *, seconds: float = 25.0, programs: int = 12
) -> Iterator[Notes]:
    """Endless probes: each deck of 128 programs and the kit is shuffled and dealt before the next.

    Eleven scores of twelve programs cover General MIDI. A deck holds the kit four times; it strikes keys
    from 27 to 87.
    """
    deck: list[int] = []
    while True:
        if len(deck) < programs:
            fresh = [*range(128), DRUMS, DRUMS, DRUMS, DRUMS]
            deck += [fresh[index] for index in generator.permutation(len(fresh))]
        yield probe_notes(generator, deck[:programs], seconds=seconds)
        deck = deck[programs:]


def random_probe(generator: np.random.Generator, *, seconds: float = 25.0) -> Notes:
    """One probe by itself: 6 to 14 programs, half of them familiar ones, the kit in every fourth."""
    count = int(generator.integers(6, 15))
    programs = [
        draw_program(generator) if generator.random() < 0.5 else int(generator.integers(128))
        for _ in range(count)
    ]
    if generator.random() < 0.25:
        programs[0] = DRUMS
    return probe_notes(generator, programs, seconds=seconds)


def _melodic_rows(generator: np.random.Generator, program: int, start_s: float, end_s: float) -> list[Row]:
    low, high = max(0, int(LOW[program]) - 5), min(127, int(HIGH[program]) + 5)
    rows: list[Row] = []
    now_s = start_s + generator.uniform(0.0, 0.1)
    while now_s < end_s - 0.1:
        length_s = float(np.exp(generator.uniform(np.log(0.06), np.log(3.0))))
        length_s = min(length_s, end_s - now_s)
        root, velocity = int(generator.integers(low, high + 1)), float(generator.integers(20, 128))
        chord = CHORDS[int(generator.integers(len(CHORDS)))] if generator.random() < 0.25 else (0,)
        rows += [(now_s, now_s + length_s, min(root + step, 127), velocity) for step in chord]
        pause_s = generator.exponential(0.5) if generator.random() < 0.4 else 0.0
        now_s += length_s * generator.choice([0.6, 1.0, 1.0]) + float(pause_s) + 0.03
    return rows


def _drum_rows(generator: np.random.Generator, start_s: float, end_s: float) -> list[Row]:
    """Strokes on random keys, the standard kit (35 to 59) twice as often as the others."""
    keys = np.arange(DRUM_KEYS[0], DRUM_KEYS[1] + 1)
    weights = np.where((keys >= 35) & (keys <= 59), 2.0, 1.0)
    count = max(LEAST_DRUM_STROKES, int((end_s - start_s) * 4))
    times_s = np.sort(generator.uniform(start_s, end_s - DRUM_LENGTH_S, count))
    struck = generator.choice(keys, count, p=weights / weights.sum())
    velocities = generator.integers(20, 128, count)
    return [
        (float(t), float(t) + DRUM_LENGTH_S, int(k), float(v))
        for t, k, v in zip(times_s, struck, velocities, strict=True)
    ]
