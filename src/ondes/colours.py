"""Colours of the parts of a score, the same in every picture and on every page."""

from __future__ import annotations

PART_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#6b4c9a")
"""Okabe and Ito's colours, which most colour-blind people can tell apart, and two more; then again."""

DRUM_COLOUR = "#777777"


def part_colour(index: int, *, is_drum: bool) -> str:
    """The colour of a part by its place in the score."""
    return DRUM_COLOUR if is_drum else PART_COLOURS[index % len(PART_COLOURS)]
