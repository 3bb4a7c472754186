"""How much of a window stands note for note in the training set, in whatever key.

A part is read as a row of symbols, one for each note after the first: the interval to the note before, and the class of
the distance of their onsets (0 within a chord). So a passage is found again in any key, by any instrument. Music
repeats itself and others: only the rate of held-out music against the same training set says what is much.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from ondes.evaluation.symbolic_distributions import LENGTHS_STEPS, length_class
from ondes.evaluation.symbolic_windows import NoteWindows

GRAMS = (4, 8, 12)
"""Lengths of the runs of symbols that are counted."""
WIDEST = 24
"""Wider intervals count as two octaves."""
SYMBOLS = (2 * WIDEST + 1) * (len(LENGTHS_STEPS) + 1)


@dataclass(frozen=True, eq=False)
class Symbols:
    """Parts as rows of symbols, one after another.

    Attributes:
        symbol: 0 to `SYMBOLS` - 1.
        left: Symbols from this one to the end of its part.
        window: Where it comes from.
        windows: How many windows there are, those without symbols too.
    """

    symbol: Int64[np.ndarray, " symbols"]
    left: Int64[np.ndarray, " symbols"]
    window: Int64[np.ndarray, " symbols"]
    windows: int

    @classmethod
    def joined(cls, many: Iterable[Symbols]) -> Symbols:
        """Several sets as one; windows are numbered on."""
        sets = list(many)
        before = np.cumsum([0, *(one.windows for one in sets)])
        empty = np.zeros(0, np.int64)
        return cls(
            np.concatenate([empty, *(one.symbol for one in sets)]),
            np.concatenate([empty, *(one.left for one in sets)]),
            np.concatenate([empty, *(one.window + b for one, b in zip(sets, before, strict=False))]),
            int(before[-1]),
        )


def to_symbols(windows: NoteWindows) -> Symbols:
    """The symbols of all parts, drums left out; a part is read by onset, then by pitch."""
    own = windows.pitched
    window, part = windows.window[own], windows.part[own]
    onset, pitch = windows.onset_steps[own], windows.pitch[own]
    order = np.lexsort((pitch, onset, part, window))
    window, part, onset, pitch = window[order], part[order], onset[order], pitch[order]
    same = (window[1:] == window[:-1]) & (part[1:] == part[:-1])
    interval = np.clip(np.diff(pitch), -WIDEST, WIDEST) + WIDEST
    distance = np.diff(onset)
    kind = np.where(distance < 0.25, 0, length_class(np.maximum(distance, 0.25)) + 1)
    symbol = (interval * (len(LENGTHS_STEPS) + 1) + kind)[same]
    place = np.flatnonzero(same)
    # The end of a run of neighbours is the next place at which they are of different parts.
    breaks = np.append(np.flatnonzero(~same), len(same))
    left = breaks[np.searchsorted(breaks, place)] - place
    return Symbols(symbol, left, window[1:][same], len(windows))


def longest_matches(query: Symbols, corpus: Symbols) -> Int64[np.ndarray, " symbols"]:
    """For each symbol, how many from it on stand in the same order somewhere in the corpus.

    The runs of the query are followed as a trie, one level at a time, by all places of the corpus at once; there are no
    hashes, so no false matches.
    """
    longest = np.zeros(len(query.symbol), np.int64)
    ours, theirs = np.arange(len(query.symbol)), np.arange(len(corpus.symbol))
    our_node, their_node = np.zeros(len(ours), np.int64), np.zeros(len(theirs), np.int64)
    length = 0
    while True:
        on, still = query.left[ours] > length, corpus.left[theirs] > length
        ours, our_node = ours[on], our_node[on]
        theirs, their_node = theirs[still], their_node[still]
        if not len(ours) or not len(theirs):
            return longest
        edges, our_node = np.unique(our_node * SYMBOLS + query.symbol[ours + length], return_inverse=True)
        followed = their_node * SYMBOLS + corpus.symbol[theirs + length]
        node = np.minimum(np.searchsorted(edges, followed), len(edges) - 1)
        found = edges[node] == followed
        theirs, their_node = theirs[found], node[found]
        reached = np.zeros(len(edges), bool)
        reached[their_node] = True
        ours, our_node = ours[reached[our_node]], our_node[reached[our_node]]
        length += 1
        longest[ours] = length


@dataclass(frozen=True, eq=False)
class Copied:
    """What of each window stands in the corpus.

    Attributes:
        found: By length of run: how many of a window's runs are found (windows,).
        possible: By length of run: how many runs it has (windows,).
        longest_notes: Notes of the longest run that is found (windows,); 0 where none is.
    """

    found: dict[int, Float64[np.ndarray, " windows"]]
    possible: dict[int, Float64[np.ndarray, " windows"]]
    longest_notes: Float64[np.ndarray, " windows"]

    def part(self, first: int, last: int) -> Copied:
        """The windows from one up to before another."""
        found, possible = (
            {n: row[first:last] for n, row in table.items()} for table in (self.found, self.possible)
        )
        return Copied(found, possible, self.longest_notes[first:last])


def copied(query: Symbols, corpus: Symbols) -> Copied:
    """Counts of copied runs, window by window."""
    longest = longest_matches(query, corpus)
    most = np.zeros(query.windows)
    np.maximum.at(most, query.window, longest)

    def count(lengths: np.ndarray, least: int) -> np.ndarray:
        return np.bincount(query.window[lengths >= least], minlength=query.windows).astype(np.float64)

    return Copied(
        found={n: count(longest, n) for n in GRAMS},
        possible={n: count(query.left, n) for n in GRAMS},
        # A run of n symbols is one of n + 1 notes.
        longest_notes=np.where(most > 0, most + 1, 0.0),
    )
