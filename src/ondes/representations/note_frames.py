"""Notes as they sound in each mel frame: no limit of tokens, notes or voices.

A note takes part in every frame from just before its onset, where an analysis window already reaches it, until its
decay after the release has died away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ondes.representations.mel import MEL, MelSpec
from ondes.score import Notes

DRUM_INSTRUMENT = 128
"""The first instrument number of the drum kit: keys follow, so that drum key 38 is instrument 166."""

INSTRUMENTS = DRUM_INSTRUMENT + 128
"""General MIDI programs, then the keys of the drum kit."""

LEAD_S = 0.03
"""A frame's window, 46 ms long, reaches a note this long before its onset."""

TAIL_S = 1.2
"""How long after its release a note still takes part."""

DRUM_TAIL_S = 2.5
"""The same for drums, counted from the onset: they ring as long as they ring."""

FEATURES = ("since_onset_s", "since_release_s", "pitch", "velocity", "gain_db", "pan")
"""Columns of `NoteFrames.features`."""


@dataclass(frozen=True, eq=False)
class NoteFrames:
    """Pairs of a note and a frame in which it takes part.

    Attributes:
        frame: Frame of each pair, counted from the beginning of the window (pairs,).
        instrument: General MIDI program, or 128 + key for drums (pairs,).
        features: One row a pair, columns as in `FEATURES`: seconds since the onset and since the release (negative
            before), pitch in MIDI keys with the bend, velocity in 0..1, gain in dB, pan in -1..1.
        frames: Frames of the window; all windows of a batch together, if several.
    """

    frame: Tensor
    instrument: Tensor
    features: Tensor
    frames: int

    def __len__(self) -> int:
        return len(self.frame)

    def to(self, device: torch.device | str) -> NoteFrames:
        """The same on another device."""
        return NoteFrames(
            self.frame.to(device), self.instrument.to(device), self.features.to(device), self.frames
        )

    def louder(self, gains_db: Float[Tensor, " kinds"]) -> NoteFrames:
        """The same with more gain for some instruments.

        Args:
            gains_db: In dB, of each General MIDI program and, last, of the drum kit.
        """
        features = self.features.clone()
        features[:, FEATURES.index("gain_db")] += gains_db[self.instrument.clamp(max=DRUM_INSTRUMENT)]
        return NoteFrames(self.frame, self.instrument, features, self.frames)


def to_note_frames(notes: Notes, *, start_frame: int, frames: int, spec: MelSpec = MEL) -> NoteFrames:
    """The pairs of notes and frames of a window.

    Args:
        notes: A whole piece.
        start_frame: First frame of the window; may be negative, before the piece.
        frames: Length of the window.
        spec: The mel front end whose frames are meant: frame j is centred on sample (j + 1/2) hop.
    """
    centre_s = (start_frame + np.arange(frames) + 0.5) / spec.frames_per_second
    end_s = np.where(notes.is_drum, notes.onset_s + DRUM_TAIL_S, notes.release_s + TAIL_S)
    first = np.searchsorted(centre_s, notes.onset_s - LEAD_S)
    counts = np.maximum(np.searchsorted(centre_s, end_s) - first, 0)
    note = np.repeat(np.arange(len(notes)), counts)
    step = np.arange(len(note)) - np.repeat(np.cumsum(counts) - counts, counts)
    frame = first[note] + step
    time_s = centre_s[frame]
    gain_db, pan, bend = _controls(notes, note, time_s)
    is_drum = notes.is_drum[note]
    features = np.stack(
        [
            time_s - notes.onset_s[note],
            np.where(is_drum, 0.0, time_s - notes.release_s[note]),
            notes.pitch[note] + np.where(is_drum, 0.0, bend),
            notes.velocity[note] / 127,
            gain_db,
            pan,
        ],
        axis=1,
    )
    instrument = np.where(is_drum, DRUM_INSTRUMENT + notes.pitch[note], notes.program[note])
    return NoteFrames(
        torch.from_numpy(frame.astype(np.int64)),
        torch.from_numpy(instrument.astype(np.int64)),
        torch.from_numpy(features.astype(np.float32)),
        frames,
    )


def _controls(
    notes: Notes, note: np.ndarray, time_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gain, pan and bend of each pair, from the controls of the note's part at the pair's time."""
    gain_db, pan, bend = np.zeros((3, len(note)))
    part = notes.part[note]
    for index in np.unique(part):
        pairs = part == index
        controls = notes.parts[index].controls
        gain_db[pairs] = controls.gain_db(time_s[pairs])
        pan[pairs] = controls.pan(time_s[pairs])
        bend[pairs] = controls.bend_semitones(time_s[pairs])
    return gain_db, pan, bend


def collate(windows: list[NoteFrames]) -> NoteFrames:
    """Windows of equal length as one long one, in which window k begins at frame k * frames."""
    frames = windows[0].frames
    return NoteFrames(
        torch.cat([window.frame + index * frames for index, window in enumerate(windows)]),
        torch.cat([window.instrument for window in windows]),
        torch.cat([window.features for window in windows]),
        frames * len(windows),
    )


def concert_key_hz(key: Tensor) -> Tensor:
    """Frequency of a MIDI key, which may be a fraction, with A4 = 69 at 440 Hz."""
    return 440 * torch.exp2((key - 69) / 12)
