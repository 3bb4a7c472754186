"""Rows of an event codec packed in words of four tokens, so that a row is moved at once.

A row is a note that sounds already, a tie mark, an event or an end mark. Its tokens lie in lanes of 16 bits, the first
one lowest, each with 1 added: a lane of 0 holds none.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int64

from ondes.representations.note_events import Tokens

LANES, LANE_BITS = 4, 16

Words = Int64[np.ndarray, " _"]
Counts = Int64[np.ndarray, " _"]
Lane = tuple[Int64[np.ndarray, " _"], Bool[np.ndarray, " _"]]
"""A token for each row, and which rows have it."""

TIED, TIE, EVENT, END = range(4)


def pack(lanes: list[Lane], last: Words) -> Words:
    """Words of up to three tokens that not every row has, and a last one that all have."""
    words = last + 1 << LANE_BITS * (LANES - 1)
    for index, (tokens, where) in enumerate(lanes):
        words |= (tokens + 1) * where << LANE_BITS * index
    return words


def put_before(words: Words, counts: Counts, number: Words, token: int) -> tuple[Words, Counts]:
    """The rows, each with a number of rows before it that are one token alone, and how many each segment has then."""
    rows = np.arange(len(words)).repeat(number + 1)
    own = np.append(rows[1:] != rows[:-1], True)[: len(rows)]
    owner = np.arange(len(counts)).repeat(counts)
    more = np.bincount(owner, weights=number, minlength=len(counts)).astype(np.int64)
    return np.where(own, words[rows], token + 1), counts + more


def unpack(
    tied: Words, tied_counts: Counts, events: Words, event_counts: Counts, *, tie: int, end: int | None
) -> list[Tokens]:
    """Tokens of segments: tied notes, the tie mark, events, and an end mark if there is one.

    Args:
        tied: Words of the notes that sound already, segment after segment.
        tied_counts: How many of them each segment has.
        events: Words of the events, segment after segment.
        event_counts: How many of them each segment has.
        tie: Token of the tie mark.
        end: Token of the end mark.
    """
    ones = np.ones(len(tied_counts), np.int64)
    sizes = np.stack([tied_counts, ones, event_counts, ones], axis=1)
    kind = np.tile([TIED, TIE, EVENT, END], len(ones)).repeat(sizes.ravel())
    words = np.array([0, tie + 1, 0, 0 if end is None else end + 1]).take(kind)
    words[kind == TIED] = tied
    words[kind == EVENT] = events
    lanes = words.astype("<i8", copy=False).view("<u2")
    places = np.flatnonzero(lanes > 0)
    tokens = lanes.take(places).astype(np.int64) - 1
    ends = np.searchsorted(places, LANES * np.cumsum(sizes.sum(axis=1)))
    return [tokens[begin:stop] for begin, stop in pairwise([0, *ends.tolist()])]
