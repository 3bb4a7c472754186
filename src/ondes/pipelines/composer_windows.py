"""Windows of notes for the network: what is known, what is to be drawn, and how drawn rows become notes again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int64

from ondes.diffusion.noise import position_seed
from ondes.representations.bar_table import LONGEST_BAR_QUARTERS, BarTable
from ondes.representations.note_sequence import STEPS_PER_QUARTER, NoteSequence
from ondes.representations.note_tokens import (
    BAR,
    SIZES,
    VELOCITY,
    NoteTokenSpec,
    Tokens,
    from_tokens,
    to_tokens,
)

BARS_AROUND = 8
"""Bars on either side of a gap whose numbers of notes say how many it may get."""

Bars = Int64[np.ndarray, " rows"]


@dataclass(frozen=True, eq=False)
class Problem:
    """A window for the network to complete.

    Attributes:
        tokens: One row a note, fields to be drawn hidden, (rows, fields).
        drawn: Which rows are to be drawn; hidden fields of others are unknown and stay so, (rows,).
        first_bar: Bar of the piece from which the first row counts.
        bar_steps: How long the bar of each row is, which its position has to stay below, (rows,).
        is_flat: Whether loudness is nobody's business: the network never sees a velocity, what it draws is dropped.
        must_play: Instruments and part numbers that have to get one of the notes that count.
        counts: Which rows those are, (rows,); all that are drawn if None.
        likely: Tokens that are likelier than the network alone would say, hidden where there are none.
    """

    tokens: Tokens
    drawn: Bool[np.ndarray, " rows"]
    first_bar: int
    bar_steps: Int64[np.ndarray, " rows"]
    is_flat: bool = False
    must_play: tuple[tuple[int, int], ...] = ()
    counts: Bool[np.ndarray, " rows"] | None = None
    likely: Tokens | None = None

    def __len__(self) -> int:
        return len(self.tokens)


def bar_steps(bars: BarTable, bar: Bars) -> Int64[np.ndarray, " rows"]:
    """Steps that fit into bars, at least one; the last bar is repeated for those beyond the table."""
    length = bars.length_quarters[np.minimum(bar, len(bars) - 1)] * STEPS_PER_QUARTER
    return np.maximum(np.floor(length + 1e-6), 1).astype(np.int64)


def empty_sequence(bars: BarTable) -> NoteSequence:
    """No notes."""
    none = np.zeros(0, np.int64)
    return NoteSequence(
        bar=none,
        position=none,
        offset=none,
        pitch=none,
        duration_steps=none,
        velocity=none,
        instrument=none,
        part_number=none,
        track=none,
        index=none,
        bars=bars,
    )


def joined(first: NoteSequence, second: NoteSequence) -> NoteSequence:
    """The notes of both, sorted, over the longer table of bars."""
    bars = first.bars if len(first.bars) >= len(second.bars) else second.bars
    columns = {
        name: np.concatenate([column, getattr(second, name)])
        for name, column in vars(first).items()
        if name != "bars"
    }
    return NoteSequence(**columns, bars=bars).sorted()


def counted_from(sequence: NoteSequence, bar: int, spec: NoteTokenSpec) -> Tokens:
    """Tokens of notes whose bars are counted from one of the piece's."""
    return to_tokens(replace(sequence, bar=sequence.bar - bar), spec=spec)


def suffix(music: NoteSequence, count: int, *, context: int, spec: NoteTokenSpec) -> Problem:
    """New notes behind the last ones of a piece.

    The first note of all is in the first bar.

    Args:
        music: What is there, sorted.
        count: New notes.
        context: At most so many notes before them are shown.
        spec: Fields of the tokens.
    """
    known = music.select(np.arange(max(0, len(music) - context), len(music)))
    first_bar = known.bar.item(0) if len(known) else 0
    tokens = np.concatenate([counted_from(known, first_bar, spec), np.tile(spec.hidden, (count, 1))])
    if not len(known):
        tokens[0, BAR] = 0
    drawn = np.arange(len(tokens)) >= len(known)
    last = np.full(count, len(music.bars) - 1)
    steps = bar_steps(music.bars, np.concatenate([known.bar, last]))
    return Problem(tokens, drawn, first_bar, steps)


def slots_between(
    known: NoteSequence, slots: Tokens, bar: Bars, spec: NoteTokenSpec, likely: Tokens | None = None
) -> Problem:
    """Notes to be drawn in given bars, behind the known notes of their bars.

    Args:
        known: Notes before, between and behind, sorted.
        slots: Their tokens, of which the bar is not read, (slots, fields).
        bar: Of each slot, ascending, (slots,).
        spec: Fields of the tokens.
        likely: Of each slot, see `Problem`.
    """
    bars = np.concatenate([known.bar, bar])
    is_slot = np.arange(len(bars)) >= len(known)
    order = np.lexsort((is_slot, bars))
    first_bar = bars.min(initial=bars.max(initial=0)).item()
    tokens = np.concatenate([counted_from(known, first_bar, spec), slots])[order]
    tokens[:, BAR] = np.minimum(np.diff(bars[order], prepend=first_bar), SIZES[BAR] - 1)
    if likely is not None:
        likely = np.concatenate([np.tile(spec.hidden, (len(known), 1)), likely])[order]
    steps = bar_steps(known.bars, bars[order])
    return Problem(tokens, is_slot[order], int(first_bar), steps, likely=likely)


def rows_to_notes(tokens: Tokens, bar: Bars, bars: BarTable, *, spec: NoteTokenSpec) -> NoteSequence:
    """The notes of drawn rows in given bars, in the order of the rows; see `from_tokens`."""
    plain = tokens.copy()
    plain[:, BAR] = 0
    # One long bar holds every position, so that notes stay where they are and only their order changes.
    sorted_notes = from_tokens(plain, BarTable.constant(1, numerator=LONGEST_BAR_QUARTERS), spec=spec)
    names = ("pitch", "part_number", "instrument", "position")
    order = np.lexsort([plain[:, spec.fields.index(name)] for name in names])
    notes = sorted_notes.select(np.argsort(order))
    return replace(notes, bar=bar, bars=bars.extended(int(bar.max(initial=0)) + 1))


def suffix_notes(problem: Problem, drawn: Tokens, music: NoteSequence, spec: NoteTokenSpec) -> NoteSequence:
    """The new notes of a completed `suffix`, sorted."""
    new = drawn[problem.drawn]
    last = music.bar.item(-1) if len(music) else 0
    bar = last + np.cumsum(new[:, BAR])
    return rows_to_notes(new, bar, music.bars, spec=spec).sorted()


def hidden_slots(
    count: int, spec: NoteTokenSpec, *, instrument: int | None = None, part_number: int | None = None
) -> Tokens:
    """Rows of which nothing is known but perhaps who plays."""
    slots = np.tile(spec.hidden, (count, 1))
    for name, value in (("instrument", instrument), ("part_number", part_number)):
        if value is not None:
            slots[:, spec.fields.index(name)] = value
    return slots


def notes_per_bar(
    sequence: NoteSequence, first: int, last: int, *, generator: np.random.Generator
) -> Int64[np.ndarray, " bars"]:
    """How many notes each bar of a gap gets: the number of one of the bars around, drawn.

    Args:
        sequence: The piece, or the part of it that counts, as it was before.
        first: First bar of the gap.
        last: Its last bar.
        generator: Draws.
    """
    counts = np.bincount(sequence.bar, minlength=max(len(sequence.bars), last + 1))
    around = np.concatenate([counts[max(0, first - BARS_AROUND) : first], counts[last + 1 :][:BARS_AROUND]])
    around = around if around.any() else counts
    filled = around[around > 0]
    pool = filled if len(filled) else np.ones(1, np.int64)
    return generator.choice(pool, last - first + 1).astype(np.int64)


def drawing(*words: int | str) -> np.random.Generator:
    """Random numbers that depend on all words."""
    return np.random.default_rng(position_seed(*words))


def with_hidden(tokens: Tokens, mask: Bool[np.ndarray, "rows fields"], spec: NoteTokenSpec) -> Tokens:
    """Tokens with the fields of a mask hidden."""
    return np.where(mask, spec.hidden, tokens)


def velocity_is_flat(sequence: NoteSequence) -> bool:
    """Whether a piece says nothing about loudness."""
    return not sequence.velocity.any()


__all__ = [
    "VELOCITY",
    "Problem",
    "bar_steps",
    "counted_from",
    "drawing",
    "empty_sequence",
    "hidden_slots",
    "joined",
    "notes_per_bar",
    "rows_to_notes",
    "slots_between",
    "suffix",
    "suffix_notes",
    "velocity_is_flat",
    "with_hidden",
]
