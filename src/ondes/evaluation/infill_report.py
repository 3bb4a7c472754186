"""Bars of a piece made anew: is the rest untouched, and how near do the new bars come to what stood there?

Nobody has to guess the composer's notes, but who understands a piece guesses more of them than one who repeats the bar
before, or draws notes at random. Notes are compared as `mir_eval.transcription` does, onsets only, times in quarter
notes; the tests hold the counts against it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ondes.representations.note_sequence import (
    PARTS,
    STEPS_PER_QUARTER,
    BarTable,
    NoteSequence,
    to_note_sequence,
)

if TYPE_CHECKING:
    from symusic.core import ScoreTick

    Infill = Callable[[ScoreTick, tuple[int, int], int], ScoreTick]
    """A score, first and last bar from 1, and a seed become a score whose bars are new."""

TOLERANCE_QUARTERS = 0.05
"""Onsets this near agree: one step of the grid."""
DECIMALS = 4
"""mir_eval rounds distances to so many."""
LEAST_NEW, LEAST_CONTEXT = 8, 32
"""Notes that the bars must hold, and that must stand before and after them together."""
MOST_BARS = 4
SIXTEENTH_QUARTERS = 0.25


@dataclass(frozen=True, eq=False)
class InfillTask:
    """Bars to be made anew.

    Attributes:
        score: The piece.
        bars: First and last bar, from 1.
        source: Name of the piece.
    """

    score: ScoreTick
    bars: tuple[int, int]
    source: Hashable


@dataclass(frozen=True)
class InfillOutcome:
    """What became of a task.

    Attributes:
        source: Name of the piece.
        bars: First and last bar, from 1.
        changes: What differs outside the bars; empty if nothing.
        pitch_f1: F1 of notes with the right pitch, by who wrote them: "ours", "previous bar", "random".
        rhythm_f1: The same of any pitch.
    """

    source: Hashable
    bars: tuple[int, int]
    changes: tuple[str, ...]
    pitch_f1: dict[str, float]
    rhythm_f1: dict[str, float]


@dataclass(frozen=True, eq=False)
class BarNotes:
    """Notes of some bars: part, onset in quarter notes from the beginning of the piece, pitch."""

    part: Int64[np.ndarray, " notes"]
    onset_quarters: Float64[np.ndarray, " notes"]
    pitch: Int64[np.ndarray, " notes"]

    @classmethod
    def of(cls, sequence: NoteSequence, chosen: Bool[np.ndarray, " notes"]) -> BarNotes:
        """Some notes of a piece."""
        part = sequence.instrument * PARTS + sequence.part_number
        return cls(part[chosen], sequence.onset_quarters[chosen], sequence.pitch[chosen])


def choose_task(score: ScoreTick, source: Hashable, *, seed: int = 0) -> InfillTask | None:
    """One to four neighbouring bars of a piece, drawn anew for each piece and seed; None where none will do.

    They hold at least 8 notes, the bar before holds one, and 32 stand before and after them.
    """
    sequence = to_note_sequence(score)
    random = np.random.default_rng([seed, 0x1F1, *str(source).encode()])
    until = np.searchsorted(sequence.bar, np.arange(len(sequence.bars) + 1))
    for first in random.permutation(np.arange(1, len(sequence.bars))).tolist():
        last = min(first + int(random.integers(1, MOST_BARS + 1)), len(sequence.bars))
        new = until[last] - until[first]
        outside = len(sequence) - new
        before = until[first] - until[first - 1]
        if new >= LEAST_NEW and before > 0 and outside >= LEAST_CONTEXT and last < len(sequence.bars):
            return InfillTask(score, (first + 1, last), source)
    return None


def carry_out(task: InfillTask, infill: Infill, *, seed: int = 0) -> InfillOutcome:
    """Have the bars made anew, and compare with what stood there and with two baselines."""
    made = infill(task.score, task.bars, seed)
    before, after = to_note_sequence(task.score), to_note_sequence(made)
    truth = BarNotes.of(before, _inside(before, task.bars))
    guesses = {
        "ours": BarNotes.of(after, _inside(after, task.bars)),
        "previous bar": previous_bar(before, task.bars),
        "random": random_notes(before, task.bars, seed=seed),
    }
    return InfillOutcome(
        task.source,
        task.bars,
        tuple(changes_outside(task.score, made, task.bars)),
        {name: note_f1(guess, truth) for name, guess in guesses.items()},
        {name: note_f1(guess, truth, pitch=False) for name, guess in guesses.items()},
    )


def note_f1(guess: BarNotes, truth: BarNotes, *, pitch: bool = True) -> float:
    """F1 of the notes of the same part and pitch whose onsets agree; 0 where either side has none.

    Args:
        guess: What was written.
        truth: What stood there.
        pitch: Whether pitches have to agree.
    """
    total = len(guess.part) + len(truth.part)
    if not len(guess.part) or not len(truth.part):
        return 0.0
    keys = [one.part * 128 + (one.pitch if pitch else 0) for one in (guess, truth)]
    found = sum(
        _matches(guess.onset_quarters[keys[0] == key], truth.onset_quarters[keys[1] == key])
        for key in np.intersect1d(keys[0], keys[1]).tolist()
    )
    return 2 * found / total


def previous_bar(sequence: NoteSequence, bars: tuple[int, int]) -> BarNotes:
    """The bar before, in place of each of the bars; what does not fit into a shorter one is left out."""
    table, source = sequence.bars, bars[0] - 2
    own = sequence.select(sequence.bar == source)
    offset = own.onset_quarters - table.start_quarters[source]
    parts, onsets, pitches = [], [], []
    for bar in range(bars[0] - 1, bars[1]):
        fits = offset < table.length_quarters[bar] - 1e-9
        parts.append((own.instrument * PARTS + own.part_number)[fits])
        onsets.append(table.start_quarters[bar] + offset[fits])
        pitches.append(own.pitch[fits])
    return BarNotes(np.concatenate(parts), np.concatenate(onsets), np.concatenate(pitches))


def random_notes(sequence: NoteSequence, bars: tuple[int, int], *, seed: int = 0) -> BarNotes:
    """As many notes of each part in each bar as there really are, at any sixteenth, any pitch of the part elsewhere.

    Pitches are uniform from the part's lowest to its highest outside the bars: more than a blind guesser knows.
    """
    random = np.random.default_rng([seed, 0x1F2])
    inside = _inside(sequence, bars)
    part = sequence.instrument * PARTS + sequence.part_number
    pitch = np.zeros(len(sequence), np.int64)
    for number in np.unique(part[inside]).tolist():
        known = sequence.pitch[(part == number) & ~inside]
        low, high = (int(known.min()), int(known.max())) if len(known) else (48, 72)
        own = (part == number) & inside
        pitch[own] = random.integers(low, high + 1, int(own.sum()))
    bar = sequence.bar[inside]
    cells = np.maximum(np.floor(sequence.bars.length_quarters[bar] / SIXTEENTH_QUARTERS), 1)
    onset = (
        sequence.bars.start_quarters[bar] + random.integers(0, cells.astype(np.int64)) * SIXTEENTH_QUARTERS
    )
    return BarNotes(part[inside], onset, pitch[inside])


def changes_outside(before: ScoreTick, after: ScoreTick, bars: tuple[int, int]) -> list[str]:
    """What differs between two scores other than notes in these bars: every attribute, every event, every track.

    Args:
        before: The piece.
        after: The same with other bars.
        bars: First and last bar, from 1.

    Returns:
        What is wrong, a line each; empty if the rest is identical.
    """
    wrong = [
        f"{name} changed"
        for name in ("ticks_per_quarter", "tempos", "time_signatures", "key_signatures", "markers")
        if _plain(getattr(before, name)) != _plain(getattr(after, name))
    ]
    if len(after.tracks) < len(before.tracks):
        return [*wrong, f"{len(before.tracks) - len(after.tracks)} tracks are gone"]
    sequence = to_note_sequence(before)
    span = _ticks(BarTable.of(before), bars, before.ticks_per_quarter)
    for number, (old, new) in enumerate(zip(before.tracks, after.tracks, strict=False)):
        for name in ("name", "program", "is_drum", "controls", "pitch_bends", "pedals", "lyrics"):
            if _plain(getattr(old, name)) != _plain(getattr(new, name)):
                wrong.append(f"track {number}: {name} changed")
        mine = sequence.track == number
        stays = np.zeros(len(old.notes), bool)
        stays[sequence.index[mine & ~_inside(sequence, bars)]] = True
        wrong += _changed_notes(number, _rows(old)[stays], _rows(new), span)
    for number in range(len(before.tracks), len(after.tracks)):
        wrong += _changed_notes(number, np.zeros((0, 4), np.int64), _rows(after.tracks[number]), span)
    return wrong


def _changed_notes(number: int, stays: np.ndarray, now: np.ndarray, span: tuple[float, float]) -> list[str]:
    """Notes of a track that are gone, and such as are new outside the bars."""
    kept, had = np.unique(stays, axis=0, return_counts=True)
    rows, has = np.unique(now, axis=0, return_counts=True)
    there = {tuple(row): int(count) for row, count in zip(rows.tolist(), has, strict=True)}
    gone = 0
    for row, count in zip(kept.tolist(), had.tolist(), strict=True):
        left = there.get(tuple(row), 0) - count
        gone += max(0, -left)
        there[tuple(row)] = left
    stray = sum(count for row, count in there.items() if count > 0 and not span[0] <= row[0] < span[1])
    wrong = [f"track {number}: {gone} notes are gone or changed"] if gone else []
    return [*wrong, f"track {number}: {stray} notes are new outside the bars"] if stray else wrong


def _inside(sequence: NoteSequence, bars: tuple[int, int]) -> np.ndarray:
    return (sequence.bar >= bars[0] - 1) & (sequence.bar < bars[1])


def _ticks(table: BarTable, bars: tuple[int, int], ticks_per_quarter: int) -> tuple[float, float]:
    """Where the bars begin and end in ticks; what is rounded into them is inside."""
    half_step = 0.5 / STEPS_PER_QUARTER
    ends = table.start_quarters[bars[0] - 1], (table.start_quarters + table.length_quarters)[bars[1] - 1]
    return tuple((float(end) - half_step) * ticks_per_quarter - 1e-6 for end in ends)  # type: ignore[return-value]


def _rows(track: object) -> np.ndarray:
    """Onset, duration, pitch, velocity of each note."""
    notes = track.notes.numpy()  # type: ignore[attr-defined]
    return np.stack([notes[name] for name in ("time", "duration", "pitch", "velocity")], axis=1).astype(
        np.int64
    )


def _plain(value: object) -> object:
    """Lists of events as their texts, which hold every attribute; other values as they are."""
    return value if isinstance(value, (str, int, bool)) else [str(event) for event in value]  # type: ignore[attr-defined]


def _matches(one: np.ndarray, other: np.ndarray) -> int:
    """Size of the largest matching of two sets of times that are at most a tolerance apart.

    Going through both in order and pairing whatever fits is the largest: intervals of one length can be exchanged.
    """
    first, second = np.sort(one), np.sort(other)
    found = i = j = 0
    while i < len(first) and j < len(second):
        apart = round(float(first[i] - second[j]), DECIMALS)
        if abs(apart) <= TOLERANCE_QUARTERS:
            found, i, j = found + 1, i + 1, j + 1
        elif apart < 0:
            i += 1
        else:
            j += 1
    return found


def untouched_share(outcomes: Sequence[InfillOutcome]) -> float:
    """Share of the tasks after which everything outside the bars is identical."""
    return float(np.mean([not outcome.changes for outcome in outcomes])) if outcomes else float("nan")
