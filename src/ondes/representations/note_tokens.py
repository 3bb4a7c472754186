"""Notes as factored tokens: a few small numbers a note, each with a class of its own for "hidden".

After Compound Word Transformer (Hsiao et al. 2021, arXiv 2101.02402) and the Octuple of MusicBERT (Zeng et al. 2021,
arXiv 2106.05630): one position of the network a note. Bars are counted from note to note, so that a window looks the
same wherever it lies in a piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from ondes.representations.bar_table import LONGEST_BAR_QUARTERS
from ondes.representations.note_sequence import (
    DRUMS,
    FINE_PER_STEP,
    PARTS,
    PLAIN_VELOCITY,
    STEPS_PER_QUARTER,
    BarTable,
    NoteSequence,
    placed,
)

FIELDS = ("bar", "position", "pitch", "duration", "velocity", "instrument", "part_number")
SIZES = (8, LONGEST_BAR_QUARTERS * STEPS_PER_QUARTER, 128, 64, 16, DRUMS + 1, PARTS)
"""Classes of each field; the one after the last, `SIZES[field]`, says that it is hidden."""

FINE_FIELDS = ("offset", "duration_rest")
FINE_SIZES = (FINE_PER_STEP, 20)
"""What unquantised tokens have besides."""

BAR, POSITION, PITCH, DURATION, VELOCITY, INSTRUMENT, PART_NUMBER = range(len(FIELDS))
OFFSET, DURATION_REST = len(FIELDS), len(FIELDS) + 1

DURATION_STEPS = np.array(
    [
        *range(1, 25),
        *(27, 28, 30, 32, 33, 36, 40, 42, 44, 45, 48, 52, 54, 56, 60, 64, 66, 72, 78, 80, 84, 90, 96),
        *(102, 108, 120, 132, 144, 156, 168, 180, 192, 204, 216, 240, 264, 288, 312, 336, 384),
    ]
)
"""Lengths that have a class: all up to a quarter note, then dotted, tied and triplet values up to 16 quarters.

The commonest of the training scores, where 99.8 % of the rounded durations are one of these.
"""
_BOUNDS = np.sqrt(DURATION_STEPS[1:] * DURATION_STEPS[:-1].astype(np.float64))
"""Between neighbours, in the middle of their logarithms."""
_LOW = np.concatenate([[0.0], _BOUNDS])
_HIGH = np.concatenate([_BOUNDS, [432.0]])

VELOCITY_PER_BIN = 8

Tokens: TypeAlias = Int64[np.ndarray, "notes fields"]


@dataclass(frozen=True)
class NoteTokenSpec:
    """Which fields the tokens of a note have.

    Args:
        unquantised: Also tell the offset from the grid, to 1/480 quarter note, and what the duration's class leaves
            away, in twentieths of what the class covers.
    """

    unquantised: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns."""
        return FIELDS + FINE_FIELDS * self.unquantised

    @property
    def sizes(self) -> tuple[int, ...]:
        """Classes of each column; the hidden one is not counted."""
        return SIZES + FINE_SIZES * self.unquantised

    @property
    def hidden(self) -> Int64[np.ndarray, " fields"]:
        """The row of a note of which nothing is known."""
        return np.array(self.sizes, np.int64)

    def to_config(self) -> dict[str, Any]:
        """The settings as JSON keeps them."""
        return {"unquantised": self.unquantised}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NoteTokenSpec:
        """The inverse of `to_config`.

        Raises:
            ValueError: If a setting is unknown.
        """
        if set(config) - {"unquantised"}:
            raise ValueError(f"settings {sorted(config)} of note tokens; give 'unquantised' only")
        return cls(bool(config.get("unquantised", False)))


QUANTISED = NoteTokenSpec()


def to_tokens(sequence: NoteSequence, *, spec: NoteTokenSpec = QUANTISED) -> Tokens:
    """The tokens of notes.

    Bars are counted from the note before, and for the first note from the first bar, up to 7. Positions beyond
    `LONGEST_BAR_QUARTERS` count as the last; durations take the nearest class in logarithm; velocities the one of 16
    bins, an unknown velocity is hidden. Quantised tokens leave offsets away.

    Args:
        sequence: Sorted notes.
        spec: Which fields.

    Returns:
        One row a note, columns as in `spec.fields`.
    """
    duration_steps = np.asarray(sequence.duration_steps, np.float64)
    duration = duration_class(duration_steps)
    velocity = np.clip(sequence.velocity // VELOCITY_PER_BIN, 0, SIZES[VELOCITY] - 1)
    columns = [
        np.clip(np.diff(sequence.bar, prepend=0), 0, SIZES[BAR] - 1),
        np.clip(sequence.position, 0, SIZES[POSITION] - 1),
        sequence.pitch,
        duration,
        np.where(sequence.velocity > 0, velocity, SIZES[VELOCITY]),
        sequence.instrument,
        sequence.part_number,
    ]
    if spec.unquantised:
        columns += [sequence.offset + FINE_PER_STEP // 2, _duration_rest(duration_steps, duration)]
    return np.stack(columns, axis=1).astype(np.int64)


def from_tokens(
    tokens: Tokens, bars: BarTable, *, first_bar: int = 0, spec: NoteTokenSpec = QUANTISED
) -> NoteSequence:
    """The notes of tokens, sorted; unknown velocities become `PLAIN_VELOCITY`.

    The inverse of `to_tokens` for notes on the grid whose durations have a class, at most 7 bars apart.

    Args:
        tokens: One row a note, in which nothing but velocity may be hidden. A position behind the end of its bar is
            where it would sound: in a later bar.
        bars: The bars of the piece; the last is repeated where they are too few.
        first_bar: The bar from which the first note counts.
        spec: Which fields.

    Raises:
        ValueError: If a field is hidden, or no class of its size.
    """
    _check(tokens, spec)
    bar = first_bar + np.cumsum(tokens[:, BAR])
    position, count = tokens[:, POSITION], len(tokens)
    offset = tokens[:, OFFSET] - FINE_PER_STEP // 2 if spec.unquantised else np.zeros(count, np.int64)
    bars = bars.extended(int(bar.max(initial=0)) + 1)
    bar, position, offset, bars = _carried(bar, position, offset, bars)
    duration_steps = DURATION_STEPS[tokens[:, DURATION]]
    if spec.unquantised:
        duration_steps = _rested(tokens[:, DURATION], tokens[:, DURATION_REST])
    velocity = tokens[:, VELOCITY] * VELOCITY_PER_BIN + VELOCITY_PER_BIN // 2
    none = np.full(count, -1, np.int64)
    return NoteSequence(
        bar=bar,
        position=position,
        offset=offset,
        pitch=tokens[:, PITCH],
        duration_steps=duration_steps,
        velocity=np.where(tokens[:, VELOCITY] == SIZES[VELOCITY], PLAIN_VELOCITY, velocity),
        instrument=tokens[:, INSTRUMENT],
        part_number=tokens[:, PART_NUMBER],
        track=none,
        index=none,
        bars=bars,
    ).sorted()


def duration_class(
    duration_steps: Int64[np.ndarray, " notes"] | Float64[np.ndarray, " notes"],
) -> Int64[np.ndarray, " notes"]:
    """Index into `DURATION_STEPS` of the nearest length, by ratio."""
    return np.searchsorted(_BOUNDS, duration_steps, side="right")


def _check(tokens: Tokens, spec: NoteTokenSpec) -> None:
    if tokens.shape[1] != len(spec.fields):
        raise ValueError(
            f"{tokens.shape[1]} tokens a note; give {len(spec.fields)}: {', '.join(spec.fields)}"
        )
    largest = spec.hidden - 1
    largest[VELOCITY] += 1
    wrong: Bool[NDArray[Any], "notes fields"] = (tokens < 0) | (tokens > largest)
    if wrong.any():
        note, column = np.argwhere(wrong)[0].tolist()
        raise ValueError(
            f"{spec.fields[column]} {tokens.item(note, column)} of note {note + 1} is hidden or no class; "
            f"give 0 to {largest.item(column)}"
        )


def _carried(
    bar: Int64[np.ndarray, " notes"],
    position: Int64[np.ndarray, " notes"],
    offset: Int64[np.ndarray, " notes"],
    bars: BarTable,
) -> tuple[Int64[np.ndarray, " notes"], Int64[np.ndarray, " notes"], Int64[np.ndarray, " notes"], BarTable]:
    """Notes behind the end of their bar in the bar where they sound."""
    beyond = position >= bars.length_quarters[bar] * STEPS_PER_QUARTER - 1e-6
    if not beyond.any():
        return bar, position, offset, bars
    fine = position * FINE_PER_STEP + offset
    onset = bars.start_quarters[bar] + fine / (FINE_PER_STEP * STEPS_PER_QUARTER)
    bars = bars.reaching(onset.max().item())
    later = placed(bars, onset[beyond])
    columns = [column.copy() for column in (bar, position, offset)]
    for column, moved in zip(columns, later, strict=True):
        column[beyond] = moved
    return columns[0], columns[1], columns[2], bars


def _duration_rest(
    duration_steps: Float64[np.ndarray, " notes"], duration: Int64[np.ndarray, " notes"]
) -> Int64[np.ndarray, " notes"]:
    """Where a length lies in its class: 0 at the shortest, 10 on the value itself, 19 at the longest."""
    value, low, high = DURATION_STEPS[duration], _LOW[duration], _HIGH[duration]
    below = (duration_steps - value) / (value - low) * 10
    above = (duration_steps - value) / (high - value) * 9
    return np.clip(np.round(np.where(duration_steps < value, below, above)) + 10, 0, 19).astype(np.int64)


def _rested(
    duration: Int64[np.ndarray, " notes"], rest: Int64[np.ndarray, " notes"]
) -> Float64[np.ndarray, " notes"]:
    """The length in the middle of what a class and rest stand for, to twentieths of a step."""
    value, low, high = DURATION_STEPS[duration], _LOW[duration], _HIGH[duration]
    part = (rest - 10) * np.where(rest < 10, (value - low) / 10, (high - value) / 9)
    return np.maximum(np.round((value + part) * FINE_PER_STEP), 1) / FINE_PER_STEP
