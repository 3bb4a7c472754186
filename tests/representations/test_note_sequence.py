from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import grid_sequences, score_of, sequence_of
from symusic.core import NoteTick, ScoreTick, TrackTick

from ondes.representations.bar_table import BarTable
from ondes.representations.note_sequence import (
    DRUMS,
    NoteSequence,
    from_note_sequence,
    to_note_sequence,
)

WRITTEN = ("bar", "position", "offset", "pitch", "duration_steps", "velocity", "instrument")


def columns(sequence: NoteSequence, *names: str) -> list[list[float]]:
    return [getattr(sequence, name).tolist() for name in names or WRITTEN]


def test_notes_find_bar_position_and_offset() -> None:
    # 480 ticks a quarter, 20 a step: 3 ticks late, exact, 3 early, and so late that the next step is nearer.
    score = score_of([(3, 480, 60, 1), (1920, 480, 61, 2), (2397, 460, 62, 3), (2410, 449, 63, 4)])
    sequence = to_note_sequence(score, quantise=False)
    assert columns(sequence, "bar", "position", "offset") == [[0, 1, 1, 1], [0, 0, 24, 25], [3, 0, -3, -10]]
    assert sequence.duration_steps.tolist() == [24, 24, 23, 22.45]
    np.testing.assert_allclose(sequence.onset_quarters * 480, [3, 1920, 2397, 2410])
    quantised = to_note_sequence(score)
    assert columns(quantised, "offset", "duration_steps") == [[0, 0, 0, 0], [24, 24, 23, 22]]


def test_a_note_just_before_a_bar_line_belongs_to_the_next_bar() -> None:
    score = score_of([(1915, 480, 60, 64), (1909, 480, 62, 64)])
    assert columns(to_note_sequence(score, quantise=False), "bar", "position", "offset") == [
        [0, 1],
        [95, 0],
        [9, -5],
    ]


def test_tracks_and_rows_lead_back_to_the_score() -> None:
    score = ScoreTick(96)
    for name, program, is_drum, pitches in (
        ("right", 0, False, [72, 60]),
        ("silent", 0, False, []),
        ("left", 0, False, [48, 36]),
        ("kit", 16, True, [36, 38]),
    ):
        track = TrackTick(name, program, is_drum)
        for index, pitch in enumerate(pitches):
            track.notes.append(NoteTick((1 - index) * 96, 96, pitch, 10 * index + 50))
        score.tracks.append(track)
    sequence = to_note_sequence(score)
    assert columns(sequence, "instrument", "part_number", "track", "index") == [
        [0, 0, DRUMS, 0, 0, DRUMS],
        [0, 1, 0, 0, 1, 0],
        [0, 2, 3, 0, 2, 3],
        [1, 1, 1, 0, 0, 0],
    ]
    for row in range(len(sequence)):
        note = score.tracks[sequence.track.item(row)].notes[sequence.index.item(row)]
        assert (note.pitch, note.velocity) == (sequence.pitch[row], 10 * sequence.index[row] + 50 or 0)


def test_the_fifth_part_of_an_instrument_counts_as_the_fourth() -> None:
    score = ScoreTick(480)
    for _ in range(6):
        track = TrackTick()
        track.notes.append(NoteTick(0, 480, 60, 64))
        score.tracks.append(track)
    assert to_note_sequence(score).part_number.tolist() == [0, 1, 2, 3, 3, 3]


def test_two_velocities_say_nothing_and_three_do() -> None:
    assert to_note_sequence(score_of([(0, 9, 60, 64), (9, 9, 60, 90)])).velocity.tolist() == [0, 0]
    three = score_of([(0, 9, 60, 64), (40, 9, 60, 90), (80, 9, 60, 91)])
    assert to_note_sequence(three).velocity.tolist() == [64, 90, 91]


def test_no_note_gets_shorter_than_the_grid() -> None:
    score = score_of([(0, 0, 60, 64), (480, 9, 60, 64)])
    assert to_note_sequence(score).duration_steps.tolist() == [1, 1]
    assert to_note_sequence(score, quantise=False).duration_steps.tolist() == [1 / 20, 9 / 20]


def test_scores_without_notes_give_none() -> None:
    assert len(to_note_sequence(score_of([]))) == 0


@settings(max_examples=30)
@given(grid_sequences())
def test_written_and_read_again_the_notes_are_the_same(sequence: NoteSequence) -> None:
    again = to_note_sequence(from_note_sequence(sequence))
    flat = len(np.unique(sequence.velocity)) <= 2
    assert again.velocity.tolist() == ([0] * len(sequence) if flat else sequence.velocity.tolist())
    # Part numbers are given anew where lower ones have no notes, in the same order.
    assert columns(again, *WRITTEN[:5], "instrument") == columns(sequence, *WRITTEN[:5], "instrument")
    parts = sequence.instrument * 4 + sequence.part_number
    assert len(np.unique(again.instrument * 4 + again.part_number)) == len(np.unique(parts))


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 4000), st.integers(1, 4000), st.integers(0, 127), st.integers(1, 127)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([(), ((0, 1, 4), (480, 3, 4), (3000, 6, 8)), ((0, 13, 4),)]),
)
def test_unquantised_notes_come_back_to_the_tick(
    notes: list[tuple[int, int, int, int]], metres: tuple[tuple[int, int, int], ...]
) -> None:
    score = score_of(notes, metres=metres)
    sequence = to_note_sequence(score, quantise=False)
    written = from_note_sequence(sequence).tracks[0].notes.numpy()
    rows = np.stack([written["time"], written["duration"], written["pitch"]], 1).tolist()
    assert sorted(rows) == sorted(list(note[:3]) for note in notes)
    assert (sequence.offset >= -10).all()
    assert (sequence.offset <= 9).all()
    assert (sequence.position < sequence.bars.length_quarters[sequence.bar] * 24).all()


def test_metres_and_tempos_come_back() -> None:
    score = score_of(
        [(0, 480 * 16, 60, 64)],
        metres=((0, 1, 4), (480, 3, 4), (480 * 8, 3, 4), (480 * 11, 6, 8)),
        tempos=((0, 400_000), (480, 600_000)),
    )
    bars = BarTable.of(score)
    again = BarTable.of(from_note_sequence(to_note_sequence(score)))
    for name, column in vars(bars).items():
        np.testing.assert_allclose(getattr(again, name), column, err_msg=name)


def test_windows_count_bars_from_their_first() -> None:
    bars = BarTable.constant(4, numerator=3)
    rows = [(bar, 3 * bar, 60 + bar, 6, 64, 0, 0) for bar in range(4)]
    window = sequence_of(rows, bars).window(1, 3)
    assert columns(window, "bar", "position", "pitch") == [[0, 1], [3, 6], [61, 62]]
    assert window.bars.start_quarters.tolist() == [0, 3]
    np.testing.assert_allclose(window.onset_quarters, [3 / 24, 3 + 6 / 24])


def test_transposition_leaves_drums_and_stays_in_range() -> None:
    bars = BarTable.constant(1)
    rows = [(0, 0, 60, 6, 64, 0, 0), (0, 1, 126, 6, 64, 0, 0), (0, 2, 36, 6, 64, DRUMS, 0)]
    assert sequence_of(rows, bars).transposed(5).pitch.tolist() == [65, 119, 36]
    assert sequence_of([(0, 0, 3, 6, 64, 0, 0)], bars).transposed(-5).pitch.tolist() == [10]


@dataclass(frozen=True)
class _Key:
    tonic: int
    mode: str


@pytest.mark.parametrize(
    ("tonic", "mode", "sharps"),
    [(0, "major", 0), (9, "minor", 0), (2, "minor", -1), (6, "major", 6), (1, "major", -5), (8, "minor", 5)],
)
def test_key_signatures_are_those_of_the_circle_of_fifths(tonic: int, mode: str, sharps: int) -> None:
    sequence = sequence_of([(0, 0, 60, 6, 64, 40, 1)], BarTable.constant(1))
    score = from_note_sequence(sequence, names={(40, 1): "Violin II"}, key=_Key(tonic, mode))
    assert (score.key_signatures[0].key, score.key_signatures[0].tonality) == (sharps, int(mode == "minor"))
    assert score.tracks[0].name == "Violin II"


def test_unknown_velocities_are_written_as_80() -> None:
    sequence = sequence_of([(0, 0, 60, 6, 0, 0, 0)], BarTable.constant(1))
    assert from_note_sequence(sequence).tracks[0].notes[0].velocity == 80
