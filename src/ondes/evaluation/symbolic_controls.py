"""What is no music, to stand beside a model: noise, real rhythm with random pitch, and real notes out of order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ondes.evaluation.symbolic_windows import NoteWindows, in_common_time
from ondes.representations.note_sequence import STEPS_PER_QUARTER

LOWEST, HIGHEST = 21, 108
"""The keys of a piano."""
LONGEST_QUARTERS = 2048 / 960
"""The longest duration and distance that the published system keeps; its noise fills a box from 0 to this."""


def noise(windows: NoteWindows, *, seed: int = 0) -> NoteWindows:
    """As many notes in each window, of a piano: pitch, duration and distance uniform."""
    random = np.random.default_rng([seed, 0x401])
    count = len(windows.window)
    longest = LONGEST_QUARTERS * STEPS_PER_QUARTER
    zeros = np.zeros(count, np.int64)
    return in_common_time(
        windows.window,
        _onsets(windows.window, random.uniform(0, longest, count)),
        np.maximum(random.uniform(0, longest, count), 0.05),
        random.integers(LOWEST, HIGHEST + 1, count),
        zeros,
        zeros,
        sources=range(len(windows)),
    )


def random_pitch(windows: NoteWindows, *, seed: int = 0) -> NoteWindows:
    """The same rhythm and instruments, pitch uniform over the keys of a piano; drums stay."""
    random = np.random.default_rng([seed, 0x402])
    drawn = random.integers(LOWEST, HIGHEST + 1, len(windows.pitch))
    return replace(windows, pitch=np.where(windows.pitched, drawn, windows.pitch))


def shuffled(windows: NoteWindows, *, seed: int = 0) -> NoteWindows:
    """The same pitches, durations and distances, each dealt out anew over all notes of all windows.

    What is true of single notes stays true, what joins them is lost: keys, chords, metre, figures. Drums keep their
    pitches; bars are of 4/4.
    """
    random = np.random.default_rng([seed, 0x403])
    fresh = np.append(True, windows.window[1:] != windows.window[:-1])[: len(windows.window)]
    distance = np.where(fresh, 0.0, np.diff(windows.onset_steps, prepend=0.0))
    distance[~fresh] = random.permutation(distance[~fresh])
    pitch = windows.pitch.copy()
    pitch[windows.pitched] = random.permutation(pitch[windows.pitched])
    return in_common_time(
        windows.window,
        _onsets(windows.window, distance),
        random.permutation(windows.duration_steps),
        pitch,
        windows.instrument,
        windows.part,
        sources=windows.sources,
    )


CONTROLS = {"noise": noise, "random pitch": random_pitch, "shuffled": shuffled}


def _onsets(window: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Onsets from the distance of each note to the one before; the first note of each window at its own."""
    first = np.append(True, window[1:] != window[:-1])[: len(window)]
    total = np.cumsum(distance)
    return total - np.maximum.accumulate(np.where(first, total - distance, 0.0))
