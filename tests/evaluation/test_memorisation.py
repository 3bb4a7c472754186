"""Copied runs are found exactly, in any key, and never across parts: against a search by brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from symbolic_notes import tune, windows_of

from ondes.evaluation.memorisation import Symbols, copied, longest_matches, to_symbols
from ondes.representations.note_sequence import DRUMS

few = st.lists(st.lists(st.integers(0, 2), min_size=0, max_size=12), min_size=0, max_size=4)


def symbols(rows: list[list[int]]) -> Symbols:
    return Symbols(
        np.array([symbol for row in rows for symbol in row], np.int64),
        np.array([len(row) - k for row in rows for k in range(len(row))], np.int64),
        np.array([number for number, row in enumerate(rows) for _ in row], np.int64),
        len(rows),
    )


def by_search(query: list[list[int]], corpus: list[list[int]]) -> list[int]:
    """The longest match from each place, tried one by one."""

    def known(run: list[int]) -> bool:
        return any(row[k : k + len(run)] == run for row in corpus for k in range(len(row)))

    return [
        max([n for n in range(1, len(row) - k + 1) if known(row[k : k + n])], default=0)
        for row in query
        for k in range(len(row))
    ]


@given(few, few)
def test_the_longest_matches_are_those_of_a_search(query: list[list[int]], corpus: list[list[int]]) -> None:
    assert longest_matches(symbols(query), symbols(corpus)).tolist() == by_search(query, corpus)


def test_a_transposed_passage_is_found_and_its_notes_are_counted() -> None:
    random = np.random.default_rng(0)
    theirs = random.integers(40, 80, 60).tolist()
    mine = random.integers(40, 80, 40).tolist()
    mine[10:23] = [pitch + 3 for pitch in theirs[30:43]]
    result = copied(to_symbols(windows_of(tune(0, mine))), to_symbols(windows_of(tune(0, theirs))))
    assert result.longest_notes.tolist() == [13]
    # 13 notes are 12 intervals: 9 runs of 4, 5 of 8, 1 of 12.
    assert {n: found.tolist() for n, found in result.found.items()} == {4: [9], 8: [5], 12: [1]}
    assert {n: count.tolist() for n, count in result.possible.items()} == {4: [36], 8: [32], 12: [28]}


def test_the_same_pitches_in_another_rhythm_are_another_passage() -> None:
    pitches = np.random.default_rng(1).integers(40, 80, 30).tolist()
    corpus = to_symbols(windows_of(tune(0, pitches, step=6)))
    again = to_symbols(windows_of(tune(0, pitches, step=6) + tune(1, pitches, step=12)))
    assert copied(again, corpus).longest_notes.tolist() == [30, 0]


def test_parts_are_read_apart_and_drums_not_at_all() -> None:
    up, down = list(range(60, 68)), list(range(60, 52, -1))
    together = tune(0, up) + tune(0, down, instrument=40) + tune(0, [38] * 8, instrument=DRUMS)
    read = to_symbols(windows_of(together))
    assert read.left.tolist() == [7, 6, 5, 4, 3, 2, 1] * 2
    alone = to_symbols(windows_of(tune(0, up) + tune(1, down)))
    assert read.symbol.tolist() == alone.symbol.tolist()


def test_windows_without_symbols_are_counted_as_copying_nothing() -> None:
    corpus = to_symbols(windows_of(tune(0, [60, 62, 64, 65, 67])))
    result = copied(to_symbols(windows_of([[0, 0, 0, 6, 60], *tune(1, [61, 63, 65, 66, 68])])), corpus)
    assert result.longest_notes.tolist() == [0, 5]
    assert result.found[4].tolist() == [0, 1]
    joined = Symbols.joined([corpus, corpus])
    assert (joined.windows, joined.window.tolist()) == (2, [0] * 4 + [1] * 4)
