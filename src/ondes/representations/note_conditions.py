"""What a composer can be asked for: key, metre, tempo, density, style, length and ensemble, as classes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ondes.representations.keys import Key, detect_key
from ondes.representations.metres import METRES, Metre
from ondes.representations.note_sequence import DRUMS, NoteSequence

KEYS, TEMPOS, DENSITIES, LENGTHS = 24, 16, 12, 12
"""Classes of the conditions; 0 stands for unknown and is not counted."""

INSTRUMENTS = DRUMS + 1

SLOWEST_BPM, TEMPO_OCTAVES = 30.0, 3
SPARSEST_PER_QUARTER = 0.5
PER_OCTAVE = 2
"""Classes of density and length between a number and its double."""

METRE_NAMES = tuple(map(str, METRES))
STEADY_SHARE = 0.9
"""A piece with fewer of its notes in one metre has none."""


@dataclass(frozen=True)
class NoteConditions:
    """What is known of a piece, or wished; None is unknown.

    Args:
        key: Its key.
        metre: Its metre.
        tempo_bpm: Quarter notes a minute.
        density_per_quarter: Notes a quarter note.
        style: Name of a group of pieces.
        bars: Length.
        instruments: One entry a part: General MIDI program, or `DRUMS`.
    """

    key: Key | None = None
    metre: Metre | None = None
    tempo_bpm: float | None = None
    density_per_quarter: float | None = None
    style: str | None = None
    bars: float | None = None
    instruments: tuple[int, ...] | None = None


def conditions_of(sequence: NoteSequence, *, style: str | None = None) -> NoteConditions:
    """What can be heard of notes: everything but the style, which is told."""
    if not len(sequence):
        return NoteConditions(style=style)
    pitched = sequence.instrument != DRUMS
    onset = sequence.onset_quarters
    parts = np.unique(np.stack([sequence.instrument, sequence.part_number]), axis=1)[0]
    return NoteConditions(
        key=detect_key(sequence.pitch[pitched], sequence.duration_quarters[pitched]),
        metre=_metre_of(sequence),
        tempo_bpm=float(sequence.bars.bpm[sequence.bar[0]]),
        density_per_quarter=len(sequence) / max(float(onset.max() - onset.min()), 1.0),
        style=style,
        bars=float(sequence.bar.max() - sequence.bar.min() + 1),
        instruments=tuple(parts.tolist()),
    )


def _metre_of(sequence: NoteSequence) -> Metre | None:
    """The metre of nearly all notes."""
    written = np.stack([sequence.bars.numerator, sequence.bars.denominator])[:, sequence.bar]
    metres, counts = np.unique(written, axis=1, return_counts=True)
    if counts.max() < STEADY_SHARE * len(sequence):
        return None
    numerator, denominator = metres[:, counts.argmax()].tolist()
    return next(
        (metre for metre in METRES if (metre.numerator, metre.denominator) == (numerator, denominator)), None
    )


def to_condition_tensors(
    conditions: Sequence[NoteConditions], *, styles: Sequence[str] = (), metres: Sequence[str] = METRE_NAMES
) -> dict[str, Tensor]:
    """The classes of conditions, as `ondes.models.note_transformer.NoteTransformer` reads them.

    Args:
        conditions: One an example.
        styles: Names of the styles of the network; any other is unknown.
        metres: Names of its metres; any other is unknown.

    Returns:
        Classes (batch,) by name, 0 for unknown; "ensemble": parts of each instrument, float (batch, 129), and
        "ensemble_known" (batch,).
    """
    columns = {
        "key": [0 if wish.key is None else wish.key.index + 1 for wish in conditions],
        "metre": [_place(str(wish.metre), metres) for wish in conditions],
        "tempo": [tempo_class(wish.tempo_bpm) for wish in conditions],
        "density": [density_class(wish.density_per_quarter) for wish in conditions],
        "style": [_place(wish.style, styles) for wish in conditions],
        "length": [length_class(wish.bars) for wish in conditions],
    }
    parts = [torch.tensor(wish.instruments or (), dtype=torch.long) for wish in conditions]
    ensemble = torch.stack([torch.bincount(own, minlength=INSTRUMENTS) for own in parts]).float()
    known = torch.tensor([wish.instruments is not None for wish in conditions])
    return {name: torch.tensor(column) for name, column in columns.items()} | {
        "ensemble": ensemble,
        "ensemble_known": known,
    }


def tempo_class(bpm: float | None) -> int:
    """1 to `TEMPOS`, evenly in the logarithm from 30 to 240 a minute; 0 for unknown."""
    return _log_class(bpm, SLOWEST_BPM, TEMPOS / TEMPO_OCTAVES, TEMPOS)


def density_class(per_quarter: float | None) -> int:
    """1 to `DENSITIES`, half octaves from 0.5 to 32 notes a quarter; 0 for unknown."""
    return _log_class(per_quarter, SPARSEST_PER_QUARTER, PER_OCTAVE, DENSITIES)


def length_class(bars: float | None) -> int:
    """1 to `LENGTHS`, half octaves from 1 to 64 bars; 0 for unknown."""
    return _log_class(bars, 1.0, PER_OCTAVE, LENGTHS)


def _log_class(value: float | None, least: float, per_octave: float, count: int) -> int:
    if value is None:
        return 0
    return 1 + min(max(math.floor(math.log2(max(value, 1e-9) / least) * per_octave), 0), count - 1)


def _place(name: str | None, names: Sequence[str]) -> int:
    return 0 if name is None or name not in names else list(names).index(name) + 1


def style_of(composer: str, collection: str, styles: Sequence[str]) -> str | None:
    """The style that a piece is an example of: its composer's, else its collection's, else none.

    A composer's style is called like a word of the name, in small letters: "bach" for "Bach, Johann Sebastian" and for
    "BachJS", but not for "Bacharach".
    """
    for style in styles:
        if re.search(rf"(?<![a-z])(?i:{re.escape(style)})(?![a-z])", composer):
            return style
    return collection if collection in styles else None
