"""Windows of equally many notes, laid end to end in flat arrays so that every figure is a few array operations.

Figures of whole pieces cannot be compared: entropy grows with length and modulation. So pieces are cut into windows
of the same number of notes, each from the beginning of a bar.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.representations.note_sequence import DRUMS, FINE_PER_STEP, PARTS, STEPS_PER_QUARTER, NoteSequence

NOTES = 128
"""Notes in a window."""
BAR_STEPS = 4 * STEPS_PER_QUARTER
"""A bar of 4/4."""


@dataclass(frozen=True, eq=False)
class NoteWindows:
    """Notes of many windows, in order of window, onset, part and pitch.

    Args:
        window: The window of each note, 0 to `len(sources)` - 1.
        onset_steps: From the beginning of the window's first bar, fractions off the grid.
        duration_steps: Above 0.
        pitch: 0 to 127.
        instrument: General MIDI program, or `DRUMS`.
        part: Tells the parts of a window apart.
        bar: Row of the note's bar in the arrays below.
        bar_window: The window of each bar; a window's bars follow one another without gaps.
        bar_start_steps: Where each bar begins in its window.
        bar_steps: Length of each bar.
        sources: What each window was taken from; windows of one source are not independent.
    """

    window: Int64[np.ndarray, " notes"]
    onset_steps: Float64[np.ndarray, " notes"]
    duration_steps: Float64[np.ndarray, " notes"]
    pitch: Int64[np.ndarray, " notes"]
    instrument: Int64[np.ndarray, " notes"]
    part: Int64[np.ndarray, " notes"]
    bar: Int64[np.ndarray, " notes"]
    bar_window: Int64[np.ndarray, " bars"]
    bar_start_steps: Float64[np.ndarray, " bars"]
    bar_steps: Float64[np.ndarray, " bars"]
    sources: tuple[Hashable, ...]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def pitched(self) -> Bool[np.ndarray, " notes"]:
        """Which notes are not drums."""
        return self.instrument != DRUMS

    @property
    def end_steps(self) -> Float64[np.ndarray, " notes"]:
        """Where each note ends in its window."""
        return self.onset_steps + self.duration_steps

    def counts(self) -> Int64[np.ndarray, " windows"]:
        """Notes in each window."""
        return np.bincount(self.window, minlength=len(self))

    def select(self, chosen: Sequence[int] | Int64[np.ndarray, " chosen"]) -> NoteWindows:
        """Some of the windows, in ascending order and without repeats."""
        keep = np.zeros(len(self), bool)
        keep[np.asarray(chosen, np.int64)] = True
        number = np.cumsum(keep) - 1
        notes, bars = keep[self.window], keep[self.bar_window]
        bar_number = np.cumsum(bars) - 1
        columns = {name: getattr(self, name)[notes] for name in _NOTE_COLUMNS}
        columns |= {name: getattr(self, name)[bars] for name in _BAR_COLUMNS}
        columns["window"] = number[columns["window"]]
        columns["bar"] = bar_number[columns["bar"]]
        columns["bar_window"] = number[columns["bar_window"]]
        return NoteWindows(**columns, sources=tuple(s for s, k in zip(self.sources, keep, strict=True) if k))


_NOTE_COLUMNS = ("window", "onset_steps", "duration_steps", "pitch", "instrument", "part", "bar")
_BAR_COLUMNS = ("bar_window", "bar_start_steps", "bar_steps")


def to_note_windows(pieces: Iterable[NoteSequence], sources: Sequence[Hashable]) -> NoteWindows:
    """Each piece as one window, from its first note's bar to the bar in which its last note ends.

    Args:
        pieces: With at least one note each.
        sources: One for each piece.

    Raises:
        ValueError: If a piece has no notes, or there are more or fewer sources than pieces.
    """
    columns = [_columns(number, piece) for number, piece in enumerate(pieces)]
    if len(columns) != len(sources):
        raise ValueError(f"{len(columns)} pieces and {len(sources)} sources; give one source for each piece")
    notes = [note for note, _ in columns] or [np.zeros((7, 0))]
    bars = [bar for _, bar in columns] or [np.zeros((3, 0))]
    before = np.cumsum([0, *(bar.shape[1] for bar in bars)])
    for note, first in zip(notes, before, strict=False):
        note[6] += first
    note, bar = np.concatenate(notes, axis=1), np.concatenate(bars, axis=1)
    whole = {name: note[row].astype(np.int64) for row, name in enumerate(_NOTE_COLUMNS) if row not in (1, 2)}
    return NoteWindows(
        **whole,
        onset_steps=note[1],
        duration_steps=note[2],
        bar_window=bar[0].astype(np.int64),
        bar_start_steps=bar[1],
        bar_steps=bar[2],
        sources=tuple(sources),
    )


def in_common_time(
    window: Int64[np.ndarray, " notes"],
    onset_steps: Float64[np.ndarray, " notes"],
    duration_steps: Float64[np.ndarray, " notes"],
    pitch: Int64[np.ndarray, " notes"],
    instrument: Int64[np.ndarray, " notes"],
    part: Int64[np.ndarray, " notes"],
    *,
    sources: Sequence[Hashable],
) -> NoteWindows:
    """Windows of notes given one by one, with bars of 4/4 laid under them.

    Args:
        window: The window of each note; every window has one.
        onset_steps: At least 0.
        duration_steps: Above 0.
        pitch: 0 to 127.
        instrument: General MIDI program, or `DRUMS`.
        part: Tells parts apart.
        sources: One for each window.
    """
    ends = np.zeros(len(sources))
    np.maximum.at(ends, window, onset_steps + duration_steps)
    bars = np.floor(ends / BAR_STEPS).astype(np.int64) + 1
    first = np.cumsum(bars) - bars
    within = np.arange(bars.sum()) - np.repeat(first, bars)
    order = np.lexsort((pitch, part, onset_steps, window))
    return NoteWindows(
        window=window[order],
        onset_steps=onset_steps[order],
        duration_steps=duration_steps[order],
        pitch=pitch[order],
        instrument=instrument[order],
        part=part[order],
        bar=(first[window] + np.floor(onset_steps / BAR_STEPS).astype(np.int64))[order],
        bar_window=np.repeat(np.arange(len(sources)), bars),
        bar_start_steps=within * float(BAR_STEPS),
        bar_steps=np.full(len(within), float(BAR_STEPS)),
        sources=tuple(sources),
    )


def cut_windows(
    piece: NoteSequence, *, random: np.random.Generator, most: int = 1, notes: int = NOTES
) -> list[NoteSequence]:
    """Windows of a piece that share no note, each beginning with the first note of a bar.

    Args:
        piece: Shorter ones give no window.
        random: Draws where they begin.
        most: Windows at most.
        notes: In each.
    """
    starts = np.flatnonzero(np.diff(piece.bar, prepend=-1))
    starts = random.permutation(starts[starts <= len(piece) - notes])
    taken: list[int] = []
    for start in starts.tolist():
        if len(taken) == most:
            break
        if all(abs(start - other) >= notes for other in taken):
            taken.append(start)
    return [piece.select(np.arange(start, start + notes)) for start in sorted(taken)]


def first_notes(piece: NoteSequence, notes: int = NOTES) -> NoteSequence:
    """The beginning of a piece."""
    return piece.select(np.arange(min(notes, len(piece))))


def join_windows(sets: Sequence[NoteWindows]) -> NoteWindows:
    """Several sets of windows as one, in their order."""
    windows = np.cumsum([0, *(len(one) for one in sets)])
    bars = np.cumsum([0, *(len(one.bar_steps) for one in sets)])
    shifted = [
        replace(one, window=one.window + w, bar=one.bar + b, bar_window=one.bar_window + w)
        for one, w, b in zip(sets, windows, bars, strict=False)
    ]
    names = (*_NOTE_COLUMNS, *_BAR_COLUMNS)
    columns = {name: np.concatenate([getattr(one, name) for one in shifted]) for name in names}
    return NoteWindows(**columns, sources=tuple(source for one in sets for source in one.sources))


def _columns(
    number: int, piece: NoteSequence
) -> tuple[Float64[np.ndarray, "7 notes"], Float64[np.ndarray, "3 bars"]]:
    """The rows of a piece's notes, and of its bars from the first note's to the one its last note ends in."""
    if not len(piece):
        raise ValueError(f"piece {number} has no notes; leave it out")
    first = int(piece.bar.min())
    start = piece.bars.start_quarters[first] * STEPS_PER_QUARTER
    # To a thousandth of an offset's unit, so that sums of binary fractions do not fall off the grid.
    onset = _rounded(piece.bars.start_quarters[piece.bar] * STEPS_PER_QUARTER - start)
    onset = onset + piece.position + piece.offset / FINE_PER_STEP
    duration = np.asarray(piece.duration_steps, np.float64)
    bars = piece.bars.window(first, len(piece.bars))
    starts, lengths = (
        _rounded(column * STEPS_PER_QUARTER) for column in (bars.start_quarters, bars.length_quarters)
    )
    last = float((onset + duration).max())
    beyond = max(0, int(np.floor((last - starts[-1]) / lengths[-1])))
    starts = np.append(starts, starts[-1] + lengths[-1] * np.arange(1, beyond + 1))
    lengths = np.append(lengths, np.full(beyond, lengths[-1]))
    count = int(np.searchsorted(starts, last, side="right"))
    part = piece.instrument * PARTS + piece.part_number
    rows = (
        np.full(len(piece), number),
        onset,
        duration,
        piece.pitch,
        piece.instrument,
        part,
        piece.bar - first,
    )
    table = np.stack([np.asarray(row, np.float64) for row in rows])
    table = table[:, np.lexsort((piece.pitch, part, onset))]
    count = max(count, int(table[6].max()) + 1)
    return table, np.stack([np.full(count, float(number)), starts[:count], lengths[:count]])


def _rounded(steps: Float64[np.ndarray, " values"]) -> Float64[np.ndarray, " values"]:
    return np.round(steps * FINE_PER_STEP * 1000) / (FINE_PER_STEP * 1000)
