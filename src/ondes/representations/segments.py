"""Segments: a long piece as windows that overlap by the context they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PACE = 0.95
"""Real-time factor up to which a plan leaves no gap in a stream."""


@dataclass(frozen=True)
class Segment:
    """A window of a piece.

    Attributes:
        start: First frame of the window.
        known: Frames at its beginning with which the segment before ends.
        stop: Frame after its last.
    """

    start: int
    known: int
    stop: int

    @property
    def frames(self) -> int:
        """Length of the window."""
        return self.stop - self.start


def segments(
    frames: int,
    *,
    window: int,
    context: int,
    first: int,
    multiple: int,
    heard: Callable[[int], int] = int,
    pace: float = PACE,
) -> list[Segment]:
    """Windows that cover a piece; those of a longer piece begin with those of a shorter one.

    The first is short, so that a stream can begin early, and the others grow to whole windows so slowly that it never
    waits: while a window is made, what was given out before it plays. Let h(k) be the frames heard of the first k
    windows and n(k) the new frames of window k. Context is no larger a share of a window than of a whole one, so if
    making takes `pace` of the playing time in whole windows, and time in proportion to the length of a window, window
    k + 1 takes at most pace n(k + 1) frames' time, and

        h(k) >= pace (n(2) + ... + n(k + 1)) for all k

    says that a player that begins with the first block never runs dry. It holds wherever the first window gives out
    enough for a next one of which anything is heard. Windows grow by what was gained: the nearer `pace` is to 1, the
    more slowly. Only the last windows of two pieces may differ.

    Args:
        frames: Length of the piece.
        window: Frames of a whole window.
        context: Frames of a whole window that are known already.
        first: Frames of the first window.
        multiple: All windows are whole multiples of this, so the last may reach beyond the end.
        heard: Frames of sound given out when so many are made, as a decoder holds some back. It never falls.
        pace: Time to make music in whole windows, over its length, up to which a stream has no gap.

    Raises:
        ValueError: If a window has no room for new frames, or sizes are not multiples.
    """
    if not 0 <= context < window or any(size % multiple for size in (window, context, first)) or first <= 0:
        raise ValueError(
            f"windows of {window}, {context} known, first {first}, in multiples of {multiple}: no such plan"
        )
    end = -(-frames // multiple) * multiple
    found: list[Segment] = []
    made, known, ahead = 0, 0, 0.0
    new = first
    while made < frames:
        found.append(Segment(made - known, known, min(made + new, end)))
        # Nobody waits before there is something to hear.
        ahead = max(0.0, ahead - pace * new) if heard(made) else 0.0
        ahead += heard(made + new) - heard(made)
        made += new
        new = _next_frames(made, ahead / pace, most=window - context, multiple=multiple, heard=heard)
        known = min(found[-1].frames, new * context // (window - context) // multiple * multiple)
    return found


def _next_frames(
    made: int, affordable: float, *, most: int, multiple: int, heard: Callable[[int], int]
) -> int:
    """New frames of the next window: as many as there is time for, but none that would not be heard before the next.

    Where there is time for too few to hear anything of, the fewest of which something is heard.
    """
    new = min(most, max(multiple, int(affordable) // multiple * multiple))
    while new < most and heard(made + new) == heard(made):
        new += multiple
    while multiple < new < most and heard(made + new - multiple) == heard(made + new):
        new -= multiple
    return new
