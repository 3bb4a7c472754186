"""General MIDI programs: where they can play, which of them sustain, and how often each is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RANGES = (
    ((0, 7), 21, 108),  # pianos
    ((8, 8), 60, 108),
    ((9, 9), 72, 108),
    ((10, 10), 60, 96),
    ((11, 11), 53, 89),
    ((12, 12), 36, 96),
    ((13, 13), 65, 108),
    ((14, 14), 60, 84),
    ((15, 15), 48, 84),
    ((16, 20), 28, 96),  # organs
    ((21, 23), 53, 89),
    ((24, 31), 40, 88),  # guitars
    ((32, 39), 26, 62),  # basses
    ((40, 40), 55, 103),
    ((41, 41), 48, 91),
    ((42, 42), 36, 81),
    ((43, 43), 28, 67),
    ((44, 45), 28, 96),
    ((46, 46), 24, 103),
    ((47, 47), 36, 60),
    ((48, 51), 28, 96),  # string ensembles
    ((52, 54), 40, 86),  # voices
    ((55, 55), 36, 84),
    ((56, 56), 54, 88),
    ((57, 57), 40, 74),
    ((58, 58), 26, 62),
    ((59, 59), 54, 86),
    ((60, 60), 36, 79),
    ((61, 63), 36, 86),
    ((64, 64), 56, 88),
    ((65, 65), 49, 81),
    ((66, 66), 44, 76),
    ((67, 67), 36, 70),
    ((68, 68), 58, 91),
    ((69, 69), 52, 82),
    ((70, 70), 34, 74),
    ((71, 71), 50, 93),
    ((72, 72), 72, 105),
    ((73, 75), 58, 98),
    ((76, 79), 55, 92),
    ((80, 103), 30, 98),  # synthesisers
    ((104, 107), 45, 86),
    ((108, 108), 48, 84),
    ((109, 109), 36, 77),
    ((110, 110), 55, 98),
    ((111, 111), 48, 84),
    ((112, 115), 48, 92),
    ((116, 118), 36, 76),
    ((119, 127), 36, 84),
)

LOW = np.concatenate([np.full(last - first + 1, low) for (first, last), low, _ in _RANGES])
"""Lowest usual pitch of each program, (128,)."""
HIGH = np.concatenate([np.full(last - first + 1, high) for (first, last), _, high in _RANGES])
"""Highest usual pitch of each program, (128,)."""

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
