"""A player of streams, for tests of whether it ever waits."""

from __future__ import annotations

from collections.abc import Sequence


def dry_frames(costs: Sequence[float], given: Sequence[float]) -> float:
    """Time without sound after the first, of a player that begins with the first block.

    Args:
        costs: Time to make each window, in that of a frame's sound.
        given: Frames of sound given out when each is made, in all.
    """
    clock, before, waited = 0.0, 0.0, 0.0
    ends: float | None = None
    for cost, now in zip(costs, given, strict=True):
        clock += cost
        if ends is not None and clock > ends:
            waited, ends = waited + clock - ends, clock
        if now > before:
            ends, before = (clock if ends is None else ends) + now - before, now
    return waited
