"""Time several things in turns, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of the repetitions of one thing, the first (warming up) left out."""

    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least_s(self) -> float:
        return min(self.seconds)

    @property
    def most_s(self) -> float:
        return max(self.seconds)


def in_turns(
    things: Mapping[str, Callable[[], object]],
    *,
    repetitions: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Run everything once to warm up, then all in turns, every other round backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for thing in things.values():
        thing()
    for repetition in range(repetitions):
        names = list(things)[:: 1 if repetition % 2 == 0 else -1]
        for name in names:
            began_s = clock()
            things[name]()
            seconds[name].append(clock() - began_s)
    return {name: Timing(tuple(found)) for name, found in seconds.items()}


def table(timings: Mapping[str, Timing], *, audio_s: float) -> str:
    """Markdown: medians and ranges in seconds, and seconds a second of audio."""
    lines = ["| what | median s | least s | most s | real-time factor |", "| --- | --- | --- | --- | --- |"]
    for name, timing in timings.items():
        figures = (timing.median_s, timing.least_s, timing.most_s, timing.median_s / audio_s)
        lines.append(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")
    return "\n".join(lines)
