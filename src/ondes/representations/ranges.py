"""Where the instruments of General MIDI usually play."""

from __future__ import annotations

import numpy as np

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

DRUM_KEYS = (27, 87)
"""First and last drum key with a sound in General MIDI level 2 and most SoundFonts."""
