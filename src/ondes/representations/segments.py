"""Segments: a long piece as windows that overlap by the context they share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """A window of a piece.

    Attributes:
        start: First frame of the window.
        known: Frames at its beginning that the segments before have made.
        stop: Frame after its last.
    """

    start: int
    known: int
    stop: int

    @property
    def frames(self) -> int:
        """Length of the window."""
        return self.stop - self.start


def segments(frames: int, *, window: int, context: int, first: int, multiple: int) -> list[Segment]:
    """Windows that cover a piece; those of a longer piece begin with those of a shorter one.

    The first is short, so that a stream can begin early. Only the last windows of two pieces may differ.

    Args:
        frames: Length of the piece.
        window: Frames of a window.
        context: Frames of a window that are known already.
        first: Frames of the first window.
        multiple: All windows are whole multiples of this, so the last may reach beyond the end.

    Raises:
        ValueError: If a window has no room for new frames, or sizes are not multiples.
    """
    if not 0 <= context < window or any(size % multiple for size in (window, context, first)) or first <= 0:
        raise ValueError(
            f"windows of {window}, {context} known, first {first}, in multiples of {multiple}: no such plan"
        )
    found: list[Segment] = []
    made = 0
    while made < frames:
        start = max(0, made - context)
        stop = first if not made else start + window
        stop = min(stop, -(-frames // multiple) * multiple)
        found.append(Segment(start, made - start, stop))
        made = stop
    return found
