"""Ticks and seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int, Int64

if TYPE_CHECKING:
    import symusic.core

DEFAULT_TEMPO_US = 500_000
"""Microseconds a quarter note where no tempo is written: 120 a minute."""


@dataclass(frozen=True, eq=False)
class TempoMap:
    """Ticks and seconds of a score; the tempo is 120 quarter notes a minute before the first change.

    Args:
        ticks: When the tempo changes, strictly ascending from 0, (changes,).
        seconds: The same times in seconds, (changes,).
        tick_s: Length of a tick from each change on, (changes,).
    """

    ticks: Int64[np.ndarray, " changes"]
    seconds: Float64[np.ndarray, " changes"]
    tick_s: Float64[np.ndarray, " changes"]

    @classmethod
    def of(cls, score: symusic.core.ScoreTick) -> TempoMap:
        """The map of a score in ticks; of several tempos at one tick the last counts."""
        tempos = score.tempos.numpy()
        return cls.of_changes(
            tempos["time"].astype(np.int64), tempos["mspq"].astype(np.int64), score.ticks_per_quarter
        )

    @classmethod
    def of_changes(
        cls,
        times: Int64[np.ndarray, " tempos"],
        quarters_us: Int64[np.ndarray, " tempos"],
        ticks_per_quarter: int,
    ) -> TempoMap:
        """The map of tempos in microseconds a quarter note; of several at one tick the last counts."""
        times = np.concatenate([[0], times])
        tick_s = np.concatenate([[DEFAULT_TEMPO_US], quarters_us]) / 1e6 / ticks_per_quarter
        order = np.argsort(times, kind="stable")
        times, tick_s = times[order], tick_s[order]
        last = np.append(times[1:] != times[:-1], True)
        times, tick_s = times[last], tick_s[last]
        seconds = np.concatenate([[0.0], np.cumsum(np.diff(times) * tick_s[:-1])])
        return cls(times, seconds, tick_s)

    def to_seconds(self, ticks: Int[np.ndarray, "*times"]) -> Float64[np.ndarray, "*times"]:
        """Times in seconds; the shape is kept."""
        if len(self.ticks) == 1:
            return np.asarray(ticks * self.tick_s[0])
        change = np.searchsorted(self.ticks, ticks, side="right") - 1
        return np.asarray(self.seconds[change] + (ticks - self.ticks[change]) * self.tick_s[change])
