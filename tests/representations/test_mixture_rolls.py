"""Rolls of mixtures: the published grid, rows, families and filters; there and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ondes.representations.bar_table import BarTable
from ondes.representations.mixture_rolls import (
    DRUM_GROUPS,
    FAMILIES,
    LEAST_CELLS,
    RollNotes,
    busy_windows,
    from_rolls,
    layers_of,
    refusal,
    rows_of,
    to_rolls,
    unified,
)
from ondes.representations.note_sequence import DRUMS, NoteSequence


def piece(rows: list[tuple[float, float, int, int]], *, numerator: int = 4) -> NoteSequence:
    """Notes of onset and duration (quarters), pitch and instrument, over bars of one metre."""
    onset, duration, pitch, instrument = np.array(rows).T
    bar = (onset // numerator).astype(np.int64)
    none = np.zeros(len(rows), np.int64)
    return NoteSequence(
        bar=bar,
        position=((onset - bar * numerator) * 24).astype(np.int64),
        offset=none,
        pitch=pitch.astype(np.int64),
        duration_steps=(duration * 24).astype(np.int64),
        velocity=none,
        instrument=instrument.astype(np.int64),
        part_number=none,
        track=none,
        index=none,
        bars=BarTable.constant(20, numerator=numerator),
    )


def test_drums_lie_in_the_last_nine_rows_in_their_order() -> None:
    stands = np.array([35, 38, 42, 45, 46, 48, 49, 50, 51])
    assert rows_of(stands, True).tolist() == list(range(63, 72))
    assert [len(group) for group in DRUM_GROUPS] == [2, 4, 2, 3, 1, 2, 3, 1, 2]
    merged = np.array([36, 37, 39, 40, 44, 41, 43, 47, 55, 57, 59, 52, 53, 54, 56, 58, 60, 0])
    rows = rows_of(merged, True) - 63
    assert rows.tolist() == [0, 1, 1, 1, 2, 3, 3, 5, 6, 6, 8, *[-64] * 7]
    assert rows_of(np.array([23, 24, 95, 96])).tolist() == [-1, 0, 71, -1]


def test_ends_go_to_the_nearest_sixteenth_and_no_note_is_empty() -> None:
    onset = np.array([0.0, 0.124, 0.126, 1.0])
    notes = RollNotes.of(
        onset, np.array([0.01, 0.25, 0.25, 0.374]), np.zeros(4, np.int64), np.zeros(4, np.int64)
    )
    assert notes.first.tolist() == [0, 0, 1, 4]
    assert notes.last.tolist() == [1, 1, 2, 5]
    assert notes.steps == 5


NOTE = st.tuples(st.integers(0, 4), st.integers(0, 71), st.integers(0, 20), st.integers(1, 9))


@settings(max_examples=30)
@given(st.lists(NOTE, max_size=30))
def test_rolls_of_the_notes_of_rolls_are_the_same_rolls(rows: list[tuple[int, int, int, int]]) -> None:
    part, row, first, length = np.array(rows, np.int64).reshape(-1, 4).T
    row = np.where(part == 4, 63 + row % 9, row)
    rolls = RollNotes(first, first + length, row, part).rolls(5, 32)
    expected = np.zeros((5, 32, 72), bool)
    for index in range(len(rows)):
        expected[part[index], first[index] : first[index] + length[index], row[index]] = True
    assert np.array_equal(rolls, expected)
    found = from_rolls(rolls, FAMILIES)
    again = RollNotes.of(
        found["onset_quarters"],
        found["duration_quarters"],
        rows_of(found["pitch"], found["part"] == 4),
        found["part"],
    )
    assert np.array_equal(again.rolls(5, 32), rolls)


def test_a_window_is_cut_from_the_whole() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 100, 60)
    notes = RollNotes(
        first, first + rng.integers(1, 40, 60), rng.integers(-1, 72, 60), rng.integers(-1, 3, 60)
    )
    whole = notes.rolls(3)
    for start in (0, 17, 60):
        assert np.array_equal(notes.rolls(3, 30, start=start), whole[:, start : start + 30])


def test_means_over_the_cells_of_a_note() -> None:
    values = np.arange(2 * 4 * 72, dtype=np.float64).reshape(2, 4, 72)
    notes = RollNotes(np.array([1, 0, 0]), np.array([3, 1, 2]), np.array([5, 71, -1]), np.zeros(3, np.int64))
    means = notes.means(values)
    assert means[0].tolist() == [values[0, 1:3, 5].mean(), values[1, 1:3, 5].mean()]
    assert means[1].tolist() == [values[0, 0, 71], values[1, 0, 71]]
    assert means[2].tolist() == [0, 0]


def test_the_track_with_the_most_notes_stands_for_its_family() -> None:
    rows = [(n / 4, 0.25, 60, 1) for n in range(51)]
    rows += [(n / 4, 0.25, 62, 5) for n in range(52)]
    rows += [(n / 4, 0.25, 40, 33) for n in range(50)]
    rows += [(n / 4, 0.25, 70, 40) for n in range(60)]
    rows += [(n / 4, 0.25, 36, DRUMS) for n in range(55)]
    sequence = piece(rows)
    layers = layers_of(sequence, FAMILIES)
    kept = unified(sequence)
    assert set(layers[sequence.instrument == 40].tolist()) == {-1}
    assert {number: set(kept[sequence.instrument == number].tolist()) for number in (1, 5, 33, 40, DRUMS)} == {
        1: {-1}, 5: {0}, 33: {-1}, 40: {-1}, DRUMS: {4}
    }  # fmt: skip
    assert refusal(sequence, kept) == ""
    assert refusal(sequence, np.where(kept == 4, -1, kept)) == "1 parts of those asked for"
    assert refusal(piece(rows, numerator=3), kept) == "not in 4/4 throughout"
    rolls = to_rolls(sequence, kept, len(FAMILIES))
    assert rolls.any((1, 2)).tolist() == [True, False, False, False, True]
    assert rolls[4].any(0).nonzero()[0].tolist() == [63]


@pytest.mark.parametrize(("cells", "kept"), [(LEAST_CELLS - 1, [0]), (LEAST_CELLS, [0, 16, 32])])
def test_windows_with_a_bar_that_is_nearly_empty_are_left_out(cells: int, kept: list[int]) -> None:
    rolls = np.zeros((5, 6 * 16 + 7, 72), bool)
    rolls[:2, :, :3] = True
    rolls[:, 64:80] = False
    rolls[0, 64].flat[:cells] = True
    rolls[1, 64].flat[: max(cells - 72, 0)] = True
    assert busy_windows(rolls).tolist() == kept
    assert busy_windows(rolls[:, :63]).tolist() == []
