"""Mixtures: notes without instruments, as the separator's network reads them, and the parts to give them to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from ondes.representations.note_sequence import NoteSequence

RANKS = 16
"""Places counted from the top or the bottom of a chord, and its size; more count as the last."""
RANK_KINDS = 5
"""Of each note: place from the top and from the bottom of what sounds at its onset, how much that is, and place from
the top and size among the notes that begin with it."""
MEASURES = 11
"""Sine and cosine of the place in the quarter note, the half note and the bar, of length and distances the logarithms
(base 2, in quarter notes), and the velocity around its mean."""
SHORTEST_QUARTERS = 1 / 64
"""Lengths and distances below this count as this."""


class MixtureFacts(NamedTuple):
    """What is known of the notes of a batch of mixtures, padded to one length.

    Attributes:
        onset: Quarter notes from anywhere (batch, notes): only differences count.
        pitch: 0 to 127 (batch, notes).
        numbers: See `MEASURES` (batch, notes, 11).
        ranks: See `RANK_KINDS` (batch, notes, 5), each below `RANKS`.
        valid: Where there is a note (batch, notes).
    """

    onset: Float[Tensor, "batch notes"]
    pitch: Int64[Tensor, "batch notes"]
    numbers: Float[Tensor, "batch notes measures"]
    ranks: Int64[Tensor, "batch notes kinds"]
    valid: Bool[Tensor, "batch notes"]


class PartSet(NamedTuple):
    """The parts that the notes of each mixture are to be given to, padded to one number.

    Attributes:
        instrument: General MIDI program, 128 for drums (batch, parts).
        number: Which of several parts of one instrument, from 0 (batch, parts).
        valid: Where there is a part (batch, parts).
    """

    instrument: Int64[Tensor, "batch parts"]
    number: Int64[Tensor, "batch parts"]
    valid: Bool[Tensor, "batch parts"]


def to_mixture_facts(
    onset_quarters: Float64[np.ndarray, " notes"],
    duration_quarters: Float64[np.ndarray, " notes"],
    pitch: Int64[np.ndarray, " notes"],
    velocity: Int64[np.ndarray, " notes"],
    bar_start_quarters: Float64[np.ndarray, " notes"],
    bar_length_quarters: Float64[np.ndarray, " notes"],
) -> MixtureFacts:
    """The facts of one mixture, a batch of one; nothing in them depends on the instruments.

    Args:
        onset_quarters: Beginnings, ascending.
        duration_quarters: Lengths.
        pitch: 0 to 127.
        velocity: 1 to 127, or 0 where unknown.
        bar_start_quarters: Beginning of the bar of each note.
        bar_length_quarters: Length of that bar.
    """
    numbers = _numbers(
        onset_quarters, duration_quarters, velocity, onset_quarters - bar_start_quarters, bar_length_quarters
    )
    ranks = _ranks(onset_quarters, onset_quarters + duration_quarters, pitch)
    return MixtureFacts(
        torch.from_numpy(onset_quarters.astype(np.float32))[None],
        torch.from_numpy(pitch)[None],
        torch.from_numpy(numbers.astype(np.float32))[None],
        torch.from_numpy(ranks)[None],
        torch.ones(1, len(pitch), dtype=torch.bool),
    )


def facts_of(sequence: NoteSequence, *, stretch: float = 1.0) -> MixtureFacts:
    """What the network may know of the notes of a window.

    Args:
        sequence: Its order is left as it is.
        stretch: Multiplies all times; 2 writes the same music in notes of double length.
    """
    bars = sequence.bars
    return to_mixture_facts(
        sequence.onset_quarters * stretch,
        sequence.duration_quarters * stretch,
        sequence.pitch,
        sequence.velocity,
        bars.start_quarters[sequence.bar] * stretch,
        bars.length_quarters[sequence.bar] * stretch,
    )


def collate_facts(pieces: Sequence[MixtureFacts]) -> MixtureFacts:
    """Several mixtures as one batch."""
    longest = max(piece.pitch.shape[1] for piece in pieces)

    def padded(values: Tensor) -> Tensor:
        missing = values.new_zeros(1, longest - values.shape[1], *values.shape[2:])
        return torch.cat([values, missing], 1)

    return MixtureFacts(
        *(torch.cat([padded(value) for value in column]) for column in zip(*pieces, strict=True))
    )


def collate_parts(sets: Sequence[Sequence[tuple[int, int]]]) -> PartSet:
    """Several sets of parts, each a pair of instrument and number, as one batch."""
    most = max(map(len, sets))
    table = torch.zeros(len(sets), most, 2, dtype=torch.int64)
    valid = torch.zeros(len(sets), most, dtype=torch.bool)
    for row, parts in enumerate(sets):
        table[row, : len(parts)] = torch.tensor(list(parts), dtype=torch.int64).reshape(-1, 2)
        valid[row, : len(parts)] = True
    return PartSet(table[..., 0], table[..., 1], valid)


def _numbers(
    onset: np.ndarray, duration: np.ndarray, velocity: np.ndarray, place: np.ndarray, bar_length: np.ndarray
) -> Float64[np.ndarray, "notes measures"]:
    turns = 2 * np.pi * np.stack([place, place / 2, place / bar_length], 1)
    times, which = np.unique(onset, return_inverse=True)
    gaps = np.diff(times, prepend=times[:1] - 4.0, append=times[-1:] + 4.0)
    lengths = np.stack([duration, gaps[which], gaps[which + 1]], 1)
    known = velocity > 0
    mean = velocity[known].mean() if known.any() else 0.0
    loud = np.where(known, (velocity - mean) / 16.0, 0.0)
    logs = np.log2(np.maximum(lengths, SHORTEST_QUARTERS))
    beat = (np.abs(place - np.round(place)) < 1e-6).astype(np.float64)
    return np.concatenate([np.sin(turns), np.cos(turns), logs, loud[:, None], beat[:, None]], 1)


def _ranks(onset: np.ndarray, release: np.ndarray, pitch: np.ndarray) -> Int64[np.ndarray, "notes kinds"]:
    """Places by comparing each note with each; mixtures come in windows, so there are a few hundred."""
    together = onset[:, None] == onset
    sounding = together | (onset[:, None] >= onset) & (onset[:, None] < release)
    above, below = pitch[:, None] < pitch, pitch[:, None] > pitch
    counts = (sounding & above, sounding & below, sounding, together & above, together)
    return np.minimum(np.stack([count.sum(1) for count in counts], 1), RANKS - 1).astype(np.int64)
