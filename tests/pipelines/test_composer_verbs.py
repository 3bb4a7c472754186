"""What is asked for holds of the finished notes, whatever the windows were completed with."""

from __future__ import annotations

import numpy as np
import pytest

from ondes.pipelines.composer_verbs import WindowSizes, write_on
from ondes.pipelines.composer_windows import Problem, empty_sequence
from ondes.representations.bar_table import BarTable
from ondes.representations.note_sequence import NoteSequence
from ondes.representations.note_tokens import (
    BAR,
    DURATION,
    INSTRUMENT,
    PART_NUMBER,
    PITCH,
    POSITION,
    QUANTISED,
    VELOCITY,
    Tokens,
)

QUARTET = ((40, 0), (40, 1), (41, 0), (42, 0))
SIZES = WindowSizes(notes=16, context=8)


def _stubborn(problem: Problem, bar: int) -> Tokens:
    """An answer in which the first violin plays everything, every other note being its neighbour again."""
    tokens = problem.tokens.copy()
    count = len(tokens)
    wanted = {
        BAR: np.full(count, bar),
        POSITION: 24 * (np.arange(count) // 2 % 4),
        PITCH: np.full(count, 55),
        DURATION: np.full(count, 5),
        VELOCITY: np.full(count, 8),
        INSTRUMENT: np.full(count, 40),
        PART_NUMBER: np.zeros(count, np.int64),
    }
    for field, values in wanted.items():
        hidden = tokens[:, field] >= QUANTISED.sizes[field]
        tokens[hidden, field] = values[hidden]
    return tokens


def _written(bar: int, notes: int | None, end_bar: int | None) -> tuple[NoteSequence, list[Problem]]:
    windows = write_on(
        empty_sequence(BarTable.constant(1)),
        notes=notes,
        end_bar=end_bar,
        sizes=SIZES,
        spec=QUANTISED,
        must_play=QUARTET,
    )
    problems = [next(windows)]
    while True:
        try:
            problems.append(windows.send(_stubborn(problems[-1], bar)))
        except StopIteration as finished:
            return finished.value, problems


@pytest.mark.parametrize("notes", [4, 7, 30])
def test_every_part_plays_in_the_end_among_just_as_many_notes(notes: int) -> None:
    music, problems = _written(1, notes, None)
    assert len(music) == notes
    assert set(zip(music.instrument.tolist(), music.part_number.tolist(), strict=True)) == set(QUARTET)
    # The pitch of a note that changes hands is drawn for its new player, and nothing else of it.
    handed = problems[-3:]
    for problem, (instrument, number) in zip(handed, QUARTET[1:], strict=True):
        hidden = np.argwhere(problem.tokens >= np.array(QUANTISED.sizes))
        assert hidden.shape == (1, 2)
        assert problem.tokens[hidden[0, 0], [INSTRUMENT, PART_NUMBER]].tolist() == [instrument, number]
        assert hidden[0, 1] == PITCH


def test_parts_double_where_no_note_can_be_spared() -> None:
    # From the second note on all lies behind the end.
    music, _ = _written(7, None, 1)
    assert len(music) == len(QUARTET)
    assert music.bar.tolist() == [0] * len(QUARTET)
    assert set(zip(music.instrument.tolist(), music.part_number.tolist(), strict=True)) == set(QUARTET)


def test_a_full_bar_is_left_where_nothing_new_fits_into_it() -> None:
    music, _ = _written(0, 30, None)
    assert len(music) == 30
    assert set(music.bar.tolist()) == set(range(music.bar.max() + 1))
    to_the_end, _ = _written(0, None, 5)
    assert set(to_the_end.bar.tolist()) == set(range(5))
