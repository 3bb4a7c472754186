"""Plans of new pieces: how many notes each bar has, drawn before any of them, and pieces written by such a plan.

A network that draws many bars at once does not see how full the others become: some are crowded, others nearly empty
(docs/log.md has the figures). Real music is steadier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from ondes.pipelines.composer_verbs import (
    Windows,
    WindowSizes,
    fill_in,
    hand_over,
    still_missing,
    without_doubles,
    write_on,
)
from ondes.pipelines.composer_windows import (
    empty_sequence,
    hidden_slots,
    joined,
    rows_to_notes,
    slots_between,
)
from ondes.representations.bar_table import BarTable
from ondes.representations.note_tokens import NoteTokenSpec

MOST_REFILLS = 3
"""How often bars that lost notes which doubled others get new ones."""

Counts = Int64[np.ndarray, " bars"]


def plan_bars(
    *,
    notes: int | None,
    bars: int | None,
    density: float,
    spread: float,
    bar_quarters: float,
    generator: np.random.Generator,
) -> Counts:
    """Notes of each bar: independent log-normal numbers around the density, one note at least.

    Args:
        notes: Of the piece: the plan sums to it. Its bars are as many as the density says, rounded either way.
        bars: Of the piece, instead.
        density: Notes a quarter note.
        spread: Standard deviation of the logarithm of the number of notes of a bar.
        bar_quarters: Length of a bar.
        generator: Draws.
    """
    a_bar = density * bar_quarters
    if notes is None:
        count = bars or 1
        total = max(round(a_bar * count), count)
    else:
        count, total = _rounded(np.clip(notes / a_bar, 1.0, notes).item(), generator), notes
    weights = np.exp(spread * generator.standard_normal(count))
    # Every bar has one; the others go where the weights say, those left by rounding to the largest rests.
    wanted = (total - count) * weights / weights.sum()
    counts = np.floor(wanted).astype(np.int64)
    counts[np.argsort(counts - wanted, kind="stable")[: total - count - counts.sum().item()]] += 1
    return counts + 1


def _rounded(count: float, generator: np.random.Generator) -> int:
    """One of the two whole numbers around a number from 1, so that the expected logarithm is its logarithm.

    Two bars or three of so many notes differ much in density: rounding to the nearest would make dense pieces denser.
    """
    below = int(count)
    share = np.log(count / below) / np.log((below + 1) / below)
    return below + int(generator.random() < share)


def write_plan(
    bars: BarTable,
    counts: Counts,
    *,
    sizes: WindowSizes,
    spec: NoteTokenSpec,
    must_play: Sequence[tuple[int, int]] = (),
    is_flat: bool = False,
) -> Windows:
    """A new piece whose bars have given numbers of notes.

    Args:
        bars: Its metre and tempo.
        counts: Notes of each bar.
        sizes: Of the windows.
        spec: Fields of the tokens.
        must_play: Instruments and part numbers that have to get a note.
        is_flat: See `Problem`.

    Returns:
        As many notes as planned.
    """
    bars = bars.extended(len(counts))
    music, slot_bar, start = empty_sequence(bars), np.repeat(np.arange(len(counts)), counts), 0
    while start < len(slot_bar):
        known = music.select(np.arange(max(0, len(music) - sizes.context), len(music)))
        stop = _whole_bars(slot_bar, start, sizes.notes - len(known))
        chunk = slot_bar[start:stop]
        problem = slots_between(known, hidden_slots(len(chunk), spec), chunk, spec)
        drawn = yield replace(problem, is_flat=is_flat, must_play=still_missing(music, must_play))
        new = rows_to_notes(drawn[problem.drawn], chunk, bars, spec=spec)
        music, start = joined(music, without_doubles(music, new)), stop
    for _ in range(MOST_REFILLS):
        lost = np.repeat(np.arange(len(counts)), counts - np.bincount(music.bar, minlength=len(counts)))
        if not len(lost):
            break
        slots = hidden_slots(len(lost), spec)
        new = yield from fill_in(music, slots, lost, sizes=sizes, spec=spec, is_flat=is_flat)
        music = joined(music, without_doubles(music, new))
    if missing := len(slot_bar) - len(music):
        # Bars in which no other note fits: the piece grows longer.
        music = yield from write_on(music, notes=missing, sizes=sizes, spec=spec, is_flat=is_flat)
    return (yield from hand_over(music, must_play, sizes=sizes, spec=spec, is_flat=is_flat))


def _whole_bars(slot_bar: Int64[np.ndarray, " slots"], start: int, room: int) -> int:
    """Where a window ends that holds as many whole bars as it can, or a part of one that is longer."""
    if len(slot_bar) - start <= room:
        return len(slot_bar)
    first_behind = int(np.searchsorted(slot_bar, slot_bar[start + room]))
    return first_behind if first_behind > start else start + room
