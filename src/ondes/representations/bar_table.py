"""The bars of a piece: where each begins, how long it is, its metre and its tempo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from ondes.errors import UserError
from ondes.tempo import TempoMap

if TYPE_CHECKING:
    import symusic.core

STEPS_PER_QUARTER = 24
"""The grid: sixteenth-note triplets and 64th-note pairs of eighths alike fall on it."""

LONGEST_BAR_QUARTERS = 8
"""Longer bars are divided at beats."""
SHORTEST_BAR_QUARTERS = 1 / STEPS_PER_QUARTER
"""Shorter bars, left over where a metre begins just behind a bar line, are joined to their neighbours."""
MOST_BARS = 100_000
ROUNDED_UP_STEPS = 0.53
"""So far an onset may move: half a step after being rounded to 1/20 of one."""

PLAIN_METRE = (4, 4)
PLAIN_BPM = 120.0
"""What holds where a file says nothing, by the Standard MIDI Files specification."""


@dataclass(frozen=True, eq=False)
class BarTable:
    """The bars of a piece in order, each beginning where the one before ends.

    Args:
        start_quarters: Beginnings in quarter notes from the beginning of the piece.
        length_quarters: At least a step and in general at most `LONGEST_BAR_QUARTERS`; less than the metre says where
            the next metre cuts a bar off.
        numerator: Of the metre.
        denominator: Of the metre.
        bpm: Mean tempo of the bar in quarter notes a minute.
    """

    start_quarters: Float64[np.ndarray, " bars"]
    length_quarters: Float64[np.ndarray, " bars"]
    numerator: Int64[np.ndarray, " bars"]
    denominator: Int64[np.ndarray, " bars"]
    bpm: Float64[np.ndarray, " bars"]

    def __len__(self) -> int:
        return len(self.start_quarters)

    @property
    def end_quarters(self) -> float:
        """Where the last bar ends; 0 without bars."""
        return float(self.start_quarters[-1] + self.length_quarters[-1]) if len(self) else 0.0

    @classmethod
    def of(cls, score: symusic.core.ScoreTick, *, end_ticks: float | None = None) -> BarTable:
        """The bars of a score up to the end of its last note, at least one.

        They follow the time signatures: 4/4 before the first, a bar that a new one interrupts is cut off there. The
        last bar is whole. Times are multiples of 1 / `ticks_per_quarter`.

        Args:
            score: A score in ticks.
            end_ticks: What `reach_ticks` says of all its notes, where that is known already.

        Raises:
            UserError: If there are more than `MOST_BARS`.
        """
        end_ticks = _end_ticks(score) if end_ticks is None else end_ticks
        start, numerator, denominator = _bar_starts(score, end_ticks)
        last = float(4 * score.ticks_per_quarter * numerator[-1] / denominator[-1])
        bounds = np.append(start, start[-1] + last)
        seconds = _to_seconds(TempoMap.of(score), bounds)
        length_quarters = np.diff(bounds) / score.ticks_per_quarter
        return cls(
            start_quarters=start / score.ticks_per_quarter,
            length_quarters=length_quarters,
            numerator=numerator,
            denominator=denominator,
            bpm=np.round(60 * length_quarters / np.diff(seconds), 9),
        )

    @classmethod
    def constant(
        cls, bars: int, *, numerator: int = 4, denominator: int = 4, bpm: float = PLAIN_BPM
    ) -> BarTable:
        """So many equal bars.

        Raises:
            ValueError: If a bar would have no length or more than `LONGEST_BAR_QUARTERS`.
        """
        length = 4 * numerator / denominator
        if not 0 < length <= LONGEST_BAR_QUARTERS:
            raise ValueError(f"bars of {numerator}/{denominator}; give at most {LONGEST_BAR_QUARTERS}/4")
        return cls(
            start_quarters=np.arange(bars) * length,
            length_quarters=np.full(bars, length),
            numerator=np.full(bars, numerator),
            denominator=np.full(bars, denominator),
            bpm=np.full(bars, float(bpm)),
        )

    def window(self, start_bar: int, end_bar: int) -> BarTable:
        """The bars from one up to before another, the first beginning at 0."""
        columns = {name: column[start_bar:end_bar] for name, column in vars(self).items()}
        columns["start_quarters"] = columns["start_quarters"] - columns["start_quarters"][:1].sum()
        return BarTable(**columns)

    def extended(self, bars: int) -> BarTable:
        """At least so many bars: the last one, in full length, is repeated; 4/4 where there is none."""
        missing = bars - len(self)
        if missing <= 0:
            return self
        numerator, denominator = (
            (self.numerator.item(-1), self.denominator.item(-1)) if len(self) else PLAIN_METRE
        )
        bpm = self.bpm.item(-1) if len(self) else PLAIN_BPM
        more = BarTable.constant(missing, numerator=numerator, denominator=denominator, bpm=bpm)
        columns = {name: np.concatenate([column, getattr(more, name)]) for name, column in vars(self).items()}
        columns["start_quarters"][len(self) :] += self.end_quarters
        return BarTable(**columns)

    def reaching(self, onset_quarters: float) -> BarTable:
        """The last bar repeated until an onset lies within, even if it is rounded up."""
        missing = onset_quarters + ROUNDED_UP_STEPS / STEPS_PER_QUARTER - self.end_quarters
        if missing < 0:
            return self
        bars = self.extended(max(len(self), 1))
        length = 4 * bars.numerator.item(-1) / bars.denominator.item(-1)
        missing = onset_quarters + ROUNDED_UP_STEPS / STEPS_PER_QUARTER - bars.end_quarters
        return bars.extended(len(bars) + max(int(missing // length) + 1, 0))


def reach_ticks(
    onset: Int64[np.ndarray, " notes"], duration: Int64[np.ndarray, " notes"], ticks_per_quarter: int
) -> float:
    """What the bars have to reach: the last end, and a little behind the last onset, which may be rounded up."""
    if not len(onset):
        return 0.0
    rounded_up = ticks_per_quarter / STEPS_PER_QUARTER * ROUNDED_UP_STEPS
    return max(float((onset + duration).max()), float(onset.max()) + rounded_up)


def _end_ticks(score: symusic.core.ScoreTick) -> float:
    """`reach_ticks` of all notes of a score."""
    found = [track.notes.numpy() for track in score.tracks]
    tables = [np.stack([notes["time"], notes["duration"]]).astype(np.int64) for notes in found]
    onset, duration = np.concatenate([np.zeros((2, 0), np.int64), *tables], axis=1)
    return reach_ticks(onset, duration, score.ticks_per_quarter)


def _bar_starts(
    score: symusic.core.ScoreTick, end_ticks: float
) -> tuple[Float64[np.ndarray, " bars"], Int64[np.ndarray, " bars"], Int64[np.ndarray, " bars"]]:
    """Beginnings of the bars in ticks, and their metres."""
    time, numerator, denominator = _metres(score, end_ticks)
    bar_ticks = 4 * score.ticks_per_quarter * numerator / denominator
    until = np.append(time[1:], max(end_ticks, time[-1] + 1))
    # A last bar that is full to the tick is not followed by an empty one; the sum is exact but for odd metres.
    bars = np.maximum(np.ceil((until - time) / bar_ticks - 1e-9), 1)
    pieces = np.ceil(4 * numerator / denominator / LONGEST_BAR_QUARTERS).astype(np.int64)
    if (bars * pieces).sum() > MOST_BARS:
        raise UserError(
            f"the score has {(bars * pieces).sum():.0f} bars; the limit is {MOST_BARS}, so split it"
        )
    counts = bars.astype(np.int64) * pieces
    metre = np.repeat(np.arange(len(time)), counts)
    within = np.arange(len(metre)) - np.repeat(np.cumsum(counts) - counts, counts)
    bar, piece = np.divmod(within, pieces[metre])
    beats = numerator[metre]
    # Pieces of a long bar begin at the beats that divide it most evenly.
    first_beat, last_beat = -(-beats * np.stack([piece, piece + 1]) // pieces[metre])
    start = time[metre] + (bar + first_beat / beats) * bar_ticks[metre]
    columns = np.stack([start, last_beat - first_beat, denominator[metre]])[:, start < until[metre]]
    shortest = SHORTEST_BAR_QUARTERS * score.ticks_per_quarter * (1 - 1e-9)
    start, beats, unit = columns[:, np.append(np.diff(columns[0]) >= shortest, True)]
    start[0] = 0.0
    return start, beats.astype(np.int64), unit.astype(np.int64)


def _metres(
    score: symusic.core.ScoreTick, end_ticks: float
) -> tuple[Int64[np.ndarray, " metres"], Int64[np.ndarray, " metres"], Int64[np.ndarray, " metres"]]:
    """Time in ticks, numerator and denominator of the metres before the end; the first begins at 0."""
    signatures = score.time_signatures.numpy()
    time, numerator, denominator = (
        signatures[name].astype(np.int64) for name in ("time", "numerator", "denominator")
    )
    possible = (numerator > 0) & (denominator > 0) & (denominator <= 64) & (time < max(end_ticks, 1))
    order = np.flatnonzero(possible)[np.argsort(time[possible], kind="stable")]
    time = np.concatenate([[0], np.maximum(time[order], 0)])
    numerator = np.concatenate([[PLAIN_METRE[0]], numerator[order]])
    denominator = np.concatenate([[PLAIN_METRE[1]], denominator[order]])
    last = np.append(time[1:] != time[:-1], True)
    return time[last], numerator[last], denominator[last]


def _to_seconds(tempo: TempoMap, ticks: Float64[np.ndarray, " times"]) -> Float64[np.ndarray, " times"]:
    """`TempoMap.to_seconds` for bar lines between ticks."""
    change = np.searchsorted(tempo.ticks, ticks, side="right") - 1
    return tempo.seconds[change] + (ticks - tempo.ticks[change]) * tempo.tick_s[change]
