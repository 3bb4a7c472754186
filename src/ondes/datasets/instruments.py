"""General MIDI programs: which of them sustain, how often each is drawn, and parts moved to where they play."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ondes.representations.ranges import HIGH, LOW

SUSTAINED = frozenset((*range(16, 24), *range(40, 45), *range(48, 55), *range(56, 104), 109, 110, 111))
"""Programs whose notes last as long as they are held: they swell and vibrate."""
KEYBOARDS = frozenset((*range(0, 6), 8, 11, 46))
"""Programs that are played with a sustain pedal, harp and vibraphone among them."""
STRUMMED = frozenset((*range(0, 8), 15, *range(24, 32), 46, *range(104, 108)))
"""Programs whose chords may be spread."""

_FAMILY_SHARES = (16, 5, 8, 12, 6, 14, 12, 9, 8, 7, 3, 3, 2, 4, 2, 1)
"""How often each block of eight programs is drawn, piano to sound effects."""
_COMMON = (
    *(0, 1, 4, 6, 11, 12, 19, 16, 24, 25, 27, 29, 32, 33, 40, 41, 42, 45, 46, 48, 52, 53),
    *(56, 57, 60, 61, 65, 66, 68, 70, 71, 73, 75, 80, 81, 89),
)


def program_weights() -> NDArray[np.float64]:
    """Chance of each program, (128,): familiar ones more often, every one sometimes."""
    weights = np.ones(128)
    weights[list(_COMMON)] = 3.0
    blocks = weights.reshape(16, 8)
    blocks *= np.array(_FAMILY_SHARES)[:, None] / blocks.sum(axis=1, keepdims=True)
    return (blocks / blocks.sum()).reshape(128)


PROGRAM_WEIGHTS = program_weights()


def draw_program(generator: np.random.Generator, *, near_pitch: float | None = None) -> int:
    """A random program by `PROGRAM_WEIGHTS`.

    Args:
        generator: Source of chance.
        near_pitch: Where the part lies; programs that do not reach it are drawn a tenth as often.
    """
    weights = PROGRAM_WEIGHTS
    if near_pitch is not None:
        reaches = (near_pitch >= LOW) & (near_pitch <= HIGH)
        weights = weights * np.where(reaches, 1.0, 0.1)
    return int(generator.choice(128, p=weights / weights.sum()))


def draw_relative(generator: np.random.Generator, program: int) -> int:
    """A program of the same family (block of eight), the familiar ones more often."""
    first = program // 8 * 8
    weights = PROGRAM_WEIGHTS[first : first + 8]
    return first + int(generator.choice(8, p=weights / weights.sum()))


def to_register(pitch: NDArray[np.int64], program: int) -> NDArray[np.int64]:
    """Pitches moved by octaves into what a program can play.

    The part moves as a whole first, so that its median lies inside; single notes that stick out follow.
    """
    if not len(pitch):
        return pitch
    low, high = int(LOW[program]), int(HIGH[program])
    median = float(np.median(pitch))
    shift = 12 * (np.ceil((low - median) / 12) if median < low else -np.ceil(max(0, median - high) / 12))
    pitch = pitch + int(shift)
    pitch = pitch + 12 * np.ceil(np.maximum(low - pitch, 0) / 12).astype(np.int64)
    return pitch - 12 * np.ceil(np.maximum(pitch - high, 0) / 12).astype(np.int64)
