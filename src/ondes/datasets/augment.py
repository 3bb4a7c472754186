"""Scores varied as players, arrangers and mixing desks vary them.

Every function takes `Notes` and a generator and gives new `Notes`; the generator decides everything. Scores
that were engraved have flat velocities and exact times, so what is drawn here is most of what a model hears
of expression. Call `separate` last.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ondes.controls import Controls, Steps
from ondes.datasets.instruments import (
    KEYBOARDS,
    STRUMMED,
    SUSTAINED,
    draw_program,
    draw_relative,
    to_register,
)
from ondes.score import Notes

LEAST_LENGTH_S = 0.03
SAME_CHORD_S = 0.005
"""Notes of a part that start closer than this are one chord."""
CONTROL_STEP_S = 0.05


def transpose(notes: Notes, semitones: int) -> Notes:
    """Everything but drums moved by semitones; what would leave 0 to 127 stays an octave inside."""
    pitch = notes.pitch + np.where(notes.is_drum, 0, semitones)
    pitch = pitch + 12 * np.ceil(np.maximum(-pitch, 0) / 12).astype(np.int64)
    return replace(notes, pitch=pitch - 12 * np.ceil(np.maximum(pitch - 127, 0) / 12).astype(np.int64))


def change_tempo(notes: Notes, factor: float) -> Notes:
    """The same music `factor` times as fast, controllers included."""

    def faster(steps: Steps) -> Steps:
        return replace(steps, times_s=steps.times_s / factor)

    parts = tuple(
        replace(
            part, controls=Controls(**{name: faster(steps) for name, steps in vars(part.controls).items()})
        )
        for part in notes.parts
    )
    return replace(
        notes,
        onset_s=notes.onset_s / factor,
        release_s=notes.release_s / factor,
        key_release_s=notes.key_release_s / factor,
        parts=parts,
        duration_s=notes.duration_s / factor,
    )


def revoice(notes: Notes, generator: np.random.Generator, *, natural: bool) -> Notes:
    """Other programs for the parts.

    Args:
        notes: Parts to be given programs.
        generator: Source of chance.
        natural: Keep each part's own program or, one time in four, take a relative of it; otherwise draw any
            program that suits the part's register, one and the same for parts that shared one (the two staves
            of a piano) half of the time.
    """
    together = bool(generator.random() < 0.5)
    chosen: dict[int, int] = {}
    programs = []
    for index, part in enumerate(notes.parts):
        program = part.program
        own = notes.pitch[notes.part == index]
        if part.is_drum or not len(own):
            pass
        elif natural:
            program = draw_relative(generator, program) if generator.random() < 0.25 else program
        else:
            program = draw_program(generator, near_pitch=float(np.median(own)))
            program = chosen.setdefault(part.program, program) if together else program
        programs.append(program)
    return with_programs(notes, programs)


def with_programs(notes: Notes, programs: list[int]) -> Notes:
    """Parts with these programs; parts whose program changes move into its register by octaves."""
    pitch = notes.pitch.copy()
    for index, (part, program) in enumerate(zip(notes.parts, programs, strict=True)):
        own = notes.part == index
        if not part.is_drum and program != part.program:
            pitch[own] = to_register(pitch[own], program)
    parts = tuple(
        replace(part, program=0 if part.is_drum else program)
        for part, program in zip(notes.parts, programs, strict=True)
    )
    return replace(
        notes, pitch=pitch, program=np.array([p.program for p in parts], np.int64)[notes.part], parts=parts
    )


def humanise_timing(notes: Notes, generator: np.random.Generator) -> Notes:
    """Notes a few milliseconds early or late, parts that lag, chords of plucked and struck strings spread.

    Lengths are kept. Nothing moves before time 0.
    """
    count = len(notes)
    shift_s = generator.normal(0.0, generator.uniform(0.001, 0.010), count)
    lags_s = generator.normal(0.0, 0.005, len(notes.parts))
    spreads_s = np.where(
        generator.random(len(notes.parts)) < 0.3, generator.uniform(0.004, 0.030, len(notes.parts)), 0.0
    )
    strummed = np.array([not part.is_drum and part.program in STRUMMED for part in notes.parts], np.bool_)
    shift_s += lags_s[notes.part] + (spreads_s * strummed)[notes.part] * _place_in_chord(notes)
    onset_s = np.maximum(notes.onset_s + shift_s, 0.0)
    moved_s = onset_s - notes.onset_s
    return sort(
        replace(
            notes,
            onset_s=onset_s,
            release_s=notes.release_s + moved_s,
            key_release_s=notes.key_release_s + moved_s,
        )
    )


def humanise_velocity(notes: Notes, generator: np.random.Generator) -> Notes:
    """Velocities from 20 to 127: a level for the piece and each part, phrases that rise and fall, noise.

    What dynamics the score has, as far as they differ within a part, are kept in part. One piece in eight has
    velocities without any order, so that loudness is learnt from velocity alone.
    """
    count = len(notes)
    if generator.random() < 1 / 8:
        return replace(notes, velocity=generator.integers(20, 128, count))
    velocity = np.full(count, generator.uniform(48, 108))
    keep = generator.uniform(0.3, 1.0)
    for index in range(len(notes.parts)):
        own = notes.part == index
        if not own.any():
            continue
        written = notes.velocity[own] - notes.velocity[own].mean()
        velocity[own] += generator.normal(0.0, 9.0) + keep * written
        for period_s in generator.uniform(1.5, 9.0, 2):
            angle = 2 * np.pi * (notes.onset_s[own] / period_s + generator.random())
            velocity[own] += generator.uniform(0.0, 12.0) * np.sin(angle)
    velocity += generator.normal(0.0, generator.uniform(1.0, 9.0), count)
    return replace(notes, velocity=np.clip(np.round(velocity), 20, 127).astype(np.int64))


def articulate(notes: Notes, generator: np.random.Generator) -> Notes:
    """Lengths scaled, from staccato to overlapping; each part may change its touch every few seconds."""
    length_s = notes.key_release_s - notes.onset_s
    for index, part in enumerate(notes.parts):
        if part.is_drum or generator.random() < 0.3:
            continue
        changes_s = np.cumsum(generator.uniform(3.0, 10.0, 1 + int(notes.duration_s / 3.0)))
        touches = generator.choice([0.35, 0.6, 0.8, 0.95, 1.05, 1.15], changes_s.size + 1)
        own = notes.part == index
        length_s[own] *= touches[np.searchsorted(changes_s, notes.onset_s[own])]
    length_s = np.maximum(length_s, LEAST_LENGTH_S)
    release_s = np.where(notes.is_drum, notes.key_release_s, notes.onset_s + length_s)
    return replace(notes, key_release_s=release_s, release_s=np.maximum(release_s, notes.onset_s + 1e-3))


def add_pedal(notes: Notes, generator: np.random.Generator, *, chance: float = 0.4) -> Notes:
    """A sustain pedal for some keyboard parts that have none: pressed after, lifted at, each change."""
    parts = list(notes.parts)
    for index, part in enumerate(parts):
        has_pedal = bool(len(part.controls.sustain.times_s))
        if part.is_drum or part.program not in KEYBOARDS or has_pedal or generator.random() >= chance:
            continue
        lifts_s = np.cumsum(generator.choice([0.5, 1.0, 2.0, 3.0]) * generator.uniform(0.8, 1.2, 200))
        lifts_s = lifts_s[lifts_s < notes.duration_s]
        used = lifts_s[generator.random(lifts_s.size) < 0.85]
        times_s = np.stack([used, used + generator.uniform(0.05, 0.15)], axis=1).ravel()
        sustain = Steps(times_s, np.tile([0.0, 127.0], used.size), 0.0)
        parts[index] = replace(part, controls=replace(part.controls, sustain=sustain))
    return replace(notes, parts=tuple(parts))


def mix(notes: Notes, generator: np.random.Generator) -> Notes:
    """A place, a level, and for instruments that sustain swells and vibrato, for each part.

    Volume (CC7) and pan (CC10) are drawn afresh; what expression (CC11) and bends the score has are kept.
    """
    parts = []
    for part in notes.parts:
        controls = part.controls
        volume = generator.integers(64, 120) if generator.random() < 0.7 else 100
        pan = (
            np.clip(np.round(64 + 28 * generator.standard_normal()), 0, 127)
            if generator.random() < 0.7
            else 64
        )
        controls = replace(controls, volume=_held(float(volume)), pan_position=_held(float(pan)))
        if not part.is_drum and part.program in SUSTAINED:
            if not len(controls.expression.times_s) and generator.random() < 0.4:
                controls = replace(controls, expression=_swell(notes.duration_s, generator))
            if not len(controls.bend.times_s) and generator.random() < 0.15:
                controls = replace(controls, bend=_vibrato(notes.duration_s, generator))
        elif not part.is_drum and not len(controls.bend.times_s) and generator.random() < 0.05:
            controls = replace(controls, bend=_slides(notes, generator))
        parts.append(replace(part, controls=controls))
    return replace(notes, parts=tuple(parts))


def separate(notes: Notes) -> Notes:
    """Notes that a keyboard could play: one key is let go before it is struck again.

    Of notes of one part and pitch that start within 10 ms one is kept; the others end 5 ms before the next.
    """
    key = (notes.part * 128 + notes.pitch).astype(np.int64)
    order = np.lexsort((notes.onset_s, key))
    again = np.diff(key[order], prepend=-1) == 0
    order = order[~again | (np.diff(notes.onset_s[order], prepend=0.0) >= 0.010)]
    onset_s = notes.onset_s[order]
    followed = np.diff(key[order], append=-1) == 0
    latest_s = np.where(followed, np.append(onset_s[1:], np.inf)[: len(onset_s)] - 0.005, np.inf)
    key_release_s, release_s = notes.key_release_s.copy(), notes.release_s.copy()
    key_release_s[order] = np.maximum(np.minimum(key_release_s[order], latest_s), onset_s + 0.002)
    release_s[order] = np.maximum(np.minimum(release_s[order], latest_s), onset_s + 0.002)
    return replace(notes, key_release_s=key_release_s, release_s=release_s).select(np.sort(order))


def sort(notes: Notes) -> Notes:
    """Notes in the order that `Notes` promises: onset, part, pitch."""
    return notes.select(np.lexsort((notes.pitch, notes.part, notes.onset_s)))


def perform(notes: Notes, generator: np.random.Generator, *, natural: bool) -> Notes:
    """All variations after one another: key, programs, touch, time, loudness, pedal and mix."""
    notes = transpose(notes, int(generator.integers(-5, 7)))
    notes = revoice(notes, generator, natural=natural)
    notes = articulate(notes, generator)
    notes = humanise_timing(notes, generator)
    notes = humanise_velocity(notes, generator)
    notes = add_pedal(notes, generator)
    return separate(mix(notes, generator))


def _place_in_chord(notes: Notes) -> NDArray[np.int64]:
    """How many lower notes of its part start together with each note."""
    chord = np.round(notes.onset_s / SAME_CHORD_S).astype(np.int64)
    order = np.lexsort((notes.pitch, chord, notes.part))
    new = np.append(True, (np.diff(chord[order]) != 0) | (np.diff(notes.part[order]) != 0))
    positions = np.arange(len(notes))
    places = np.zeros(len(notes), np.int64)
    places[order] = positions - np.maximum.accumulate(np.where(new, positions, 0))
    return places


def _held(value: float) -> Steps:
    """A controller set once, at the start."""
    return Steps(np.zeros(1), np.array([value]), value)


def _swell(duration_s: float, generator: np.random.Generator) -> Steps:
    """Expression that breathes between about 60 and 127."""
    times_s = np.arange(0.0, duration_s, CONTROL_STEP_S)
    depth = generator.uniform(5.0, 33.0)
    phases = (times_s / period_s + generator.random() for period_s in generator.uniform(1.5, 8.0, 2))
    wave = sum((np.sin(2 * np.pi * phase) for phase in phases), np.zeros_like(times_s)) / 2
    return _thinned(times_s, np.clip(np.round(127 - depth + depth * wave), 1, 127), 127.0)


def _vibrato(duration_s: float, generator: np.random.Generator) -> Steps:
    """5 to 7 Hz, a tenth to four tenths of a semitone, coming and going."""
    times_s = np.arange(0.0, duration_s, 0.02)
    depth = generator.uniform(0.1, 0.4) * (
        0.5 + 0.5 * np.sin(2 * np.pi * times_s / generator.uniform(1.5, 5.0))
    )
    wheel = np.round(depth * np.sin(2 * np.pi * generator.uniform(5.0, 7.0) * times_s) / 2 * 8192)
    return _thinned(times_s, wheel / 8192 * 2, 0.0)


def _slides(notes: Notes, generator: np.random.Generator) -> Steps:
    """A few bends up into a note, from at most two semitones below, over a tenth of a second."""
    starts_s = (
        generator.choice(notes.onset_s, min(4, len(notes)), replace=False) if len(notes) else np.zeros(0)
    )
    times_s, values = [], []
    for start_s in np.unique(np.round(starts_s, 1)):
        depth = generator.uniform(0.5, 2.0)
        times_s.append(start_s + np.linspace(0.0, 0.09, 6))
        values.append(np.round(-depth * np.linspace(1.0, 0.0, 6) / 2 * 8192) / 8192 * 2)
    return Steps(np.concatenate([[], *times_s]), np.concatenate([[], *values]), 0.0)


def _thinned(times_s: NDArray[np.float64], values: NDArray[np.float64], initial: float) -> Steps:
    """Only the times at which the value changes."""
    changed = np.append(True, np.diff(values) != 0) if len(values) else np.zeros(0, np.bool_)
    return Steps(times_s[changed], values[changed], initial)
