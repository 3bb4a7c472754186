"""What a composer does, window after window: every verb asks for windows to be completed, and works with the answers.

They are generators, so that several pieces can be written side by side in one batch, each as it would be alone.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Int64

from ondes.pipelines.composer_windows import (
    Bars,
    Problem,
    bar_steps,
    empty_sequence,
    joined,
    rows_to_notes,
    slots_between,
    suffix,
    suffix_notes,
)
from ondes.representations.note_sequence import PARTS, NoteSequence
from ondes.representations.note_tokens import BAR, PITCH, SIZES, VELOCITY, NoteTokenSpec, Tokens, to_tokens

MOST_STALLS = 8
"""Windows in a row that may bring nothing new before a piece is taken to be over."""

FULL_BAR_STALLS = 4
"""After so many of them the bar is taken to be full: the next note begins another."""

Windows: TypeAlias = Generator[Problem, Tokens, NoteSequence]
"""Asks for windows to be completed; returns notes."""


@dataclass(frozen=True)
class WindowSizes:
    """Of what the network is shown.

    Attributes:
        notes: Of a window.
        context: At most so many of them are there already; half of it on each side of a gap.
    """

    notes: int
    context: int


def write_on(
    music: NoteSequence,
    *,
    notes: int | None = None,
    end_bar: int | None = None,
    sizes: WindowSizes,
    spec: NoteTokenSpec,
    must_play: Sequence[tuple[int, int]] = (),
    is_flat: bool = False,
) -> Windows:
    """New notes behind those that are there.

    Args:
        music: What is there, sorted; may be empty, its bars then give the metre.
        notes: How many new ones.
        end_bar: New notes up to before this bar; one of the two is given.
        sizes: Of the windows.
        spec: Fields of the tokens.
        must_play: Instruments and part numbers that have to get a note.
        is_flat: See `Problem`.

    Returns:
        All notes, old and new.
    """
    made, stalls = 0, 0
    while (made < notes if notes is not None else True) and stalls < MOST_STALLS:
        room = sizes.notes - min(len(music), sizes.context)
        missing = room if notes is None else notes - made
        # Some will be left out, because they are there already.
        problem = suffix(music, min(room, missing + missing // 16 + 2), context=sizes.context, spec=spec)
        if stalls >= FULL_BAR_STALLS and len(music):
            problem.tokens[problem.drawn.argmax(), BAR] = 1
        counts = problem.drawn & (np.cumsum(problem.drawn) <= missing)
        absent = still_missing(music, must_play)
        problem = replace(problem, is_flat=is_flat, must_play=absent, counts=counts)
        new = _fresh(music, suffix_notes(problem, (yield problem), music, spec))
        if end_bar is not None:
            inside = new.bar < end_bar
            over = len(inside) > int(inside.sum())
            new = new.select(inside)
        else:
            over = False
            new = new.select(np.arange(min(len(new), missing)))
        music, made = joined(music, new), made + len(new)
        if over:
            break
        stalls = 0 if len(new) else stalls + 1
    return (yield from hand_over(music, must_play, sizes=sizes, spec=spec, is_flat=is_flat))


def hand_over(
    music: NoteSequence,
    must_play: Sequence[tuple[int, int]],
    *,
    sizes: WindowSizes,
    spec: NoteTokenSpec,
    is_flat: bool,
) -> Windows:
    """Parts without a note get one each from those with most, with another pitch; where none can give, one doubles.

    A note that a part got may have been there already, or come to lie behind the end.

    Args:
        music: All notes, sorted.
        must_play: Instruments and part numbers that have to have a note.
        sizes: Of the windows.
        spec: Fields of the tokens.
        is_flat: See `Problem`.
    """
    for instrument, number in still_missing(music, must_play):
        owner = music.instrument * PARTS + music.part_number
        owners, counts = np.unique(owner, return_counts=True)
        own = np.flatnonzero(owner == owners[counts.argmax()])
        chosen = own.item(len(own) // 2)
        if counts.max() == 1:
            music = joined(music, music.select(np.array([chosen])))
        changed = music.instrument.copy(), music.part_number.copy()
        changed[0][chosen], changed[1][chosen] = instrument, number
        music = replace(music, instrument=changed[0], part_number=changed[1]).sorted()
        mask = np.zeros((len(music), len(spec.fields)), np.bool_)
        mask[:, PITCH] = (music.instrument == instrument) & (music.part_number == number)
        tokens = yield from redraw(music, mask, sizes=sizes, spec=spec, is_flat=is_flat)
        music = replace(music, pitch=tokens[:, PITCH]).sorted()
    return music


def _fresh(music: NoteSequence, new: NoteSequence) -> NoteSequence:
    """New notes that are not before the last one that was there, each once."""
    if len(music):
        last = (music.bar.item(-1), music.position.item(-1))
        new = new.select((new.bar > last[0]) | ((new.bar == last[0]) & (new.position >= last[1])))
    return without_doubles(music, new)


def without_doubles(music: NoteSequence, new: NoteSequence) -> NoteSequence:
    """New notes each once, without those that are there already."""
    keys = [_order_keys(part) for part in (music, new)]
    same_place = np.unique(keys[1], axis=0, return_index=True)[1]
    once = np.zeros(len(new), np.bool_)
    once[same_place] = True
    if len(music):
        there = {tuple(row) for row in keys[0][np.isin(music.bar, new.bar)].tolist()}
        once &= ~np.array([tuple(row) in there for row in keys[1].tolist()], np.bool_)
    return new.select(once)


def _order_keys(notes: NoteSequence) -> Int64[np.ndarray, "notes 5"]:
    columns = (notes.bar, notes.position, notes.instrument, notes.part_number, notes.pitch)
    return np.stack(columns, axis=1)


def still_missing(music: NoteSequence, parts: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Those instruments and part numbers that have no note yet."""
    playing = set(zip(music.instrument.tolist(), music.part_number.tolist(), strict=True))
    return tuple(part for part in parts if part not in playing)


def fill_in(
    known: NoteSequence,
    slots: Tokens,
    slot_bar: Bars,
    *,
    sizes: WindowSizes,
    spec: NoteTokenSpec,
    is_flat: bool = False,
    likely: Tokens | None = None,
) -> Windows:
    """Notes for slots in bars, from the first bar to the last.

    Args:
        known: All that is known of the piece, sorted.
        slots: Tokens of the notes to find, their hidden fields hidden, (slots, fields).
        slot_bar: Bar of each, ascending, (slots,).
        sizes: Of the windows.
        spec: Fields of the tokens.
        is_flat: See `Problem`.
        likely: Of each slot, see `Problem`.

    Returns:
        The new notes alone, sorted.
    """
    music, made = known, empty_sequence(known.bars)
    start = 0
    while start < len(slot_bar):
        stop = _chunk_end(music, slot_bar, start, sizes)
        first, last = slot_bar.item(start), slot_bar.item(stop - 1)
        next_bar = slot_bar.item(stop) if stop < len(slot_bar) else np.iinfo(np.int64).max
        begin, end, behind = np.searchsorted(music.bar, [first, last + 1, next_bar])
        side = sizes.context // 2
        shown = np.arange(max(0, begin - side), min(end + side, max(behind, end)))
        chunk = slot_bar[start:stop]
        own = None if likely is None else likely[start:stop]
        problem = slots_between(music.select(shown), slots[start:stop], chunk, spec, own)
        problem = replace(problem, is_flat=is_flat)
        drawn = yield problem
        new = rows_to_notes(drawn[problem.drawn], chunk, music.bars, spec=spec)
        music, made = joined(music, new), joined(made, new)
        start = stop
    return made


def _chunk_end(music: NoteSequence, slot_bar: Bars, start: int, sizes: WindowSizes) -> int:
    """How many slots a window takes: whole bars as long as they fit in with what is known there, at least one bar."""
    room = sizes.notes - sizes.context
    first = slot_bar.item(start)
    for bar in np.unique(slot_bar[start:]).tolist():
        stop = int(np.searchsorted(slot_bar, bar, side="right"))
        inside = int(np.searchsorted(music.bar, bar + 1) - np.searchsorted(music.bar, first))
        if bar > first and stop - start + inside > room:
            return int(np.searchsorted(slot_bar, bar))
    return len(slot_bar)


def redraw(
    music: NoteSequence,
    mask: Bool[np.ndarray, "notes fields"],
    *,
    sizes: WindowSizes,
    spec: NoteTokenSpec,
    is_flat: bool = False,
) -> Generator[Problem, Tokens, Tokens]:
    """Other values for some fields of notes, which stay in their bars.

    Args:
        music: The piece, sorted.
        mask: Which fields are drawn anew; that of the bar is not.
        sizes: Of the windows.
        spec: Fields of the tokens.
        is_flat: See `Problem`.

    Returns:
        Tokens of all notes, in their order; bars are counted as in `to_tokens` of the piece.
    """
    tokens = to_tokens(music, spec=spec)
    side, count = sizes.context // 4, len(tokens)
    core = sizes.notes - 2 * side
    for start in range(0, count, core):
        stop = min(start + core, count)
        if not mask[start:stop].any():
            continue
        rows = np.arange(max(0, start - side), min(stop + side, count))
        is_core = (rows >= start) & (rows < stop)
        shown = np.where(mask[rows] & is_core[:, None], spec.hidden, tokens[rows])
        shown[0, BAR] = 0
        steps = bar_steps(music.bars, music.bar[rows])
        problem = Problem(shown, is_core, music.bar.item(rows[0]), steps, is_flat)
        drawn = yield problem
        tokens[start:stop] = np.where(mask[start:stop], drawn[is_core], tokens[start:stop])
    if is_flat:
        tokens[:, VELOCITY] = SIZES[VELOCITY]
    return tokens
