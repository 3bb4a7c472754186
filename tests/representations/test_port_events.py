from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from segment_notes import GOLDEN, PARTS, grid_rows, rows_of, texts  # pyright: ignore[reportMissingImports]

from ondes.representations.events import TokenSegment
from ondes.representations.port_events import LAYOUT, PortCodec
from plain_notes import Row, plain_notes  # pyright: ignore[reportMissingImports]

CODEC = PortCodec()


def test_tokens_are_those_of_the_port() -> None:
    assert texts(CODEC.encode(GOLDEN)) == [
        "644 645 643 574 809 50 645 643 578 685 643 586 100 645 642 574 578 643 811 400 645 643 581",
        "645 581 685 586 644 8 643 809 38 685 642 586 88 645 642 581",
    ]


def test_the_vocabulary_is_that_of_the_port() -> None:
    assert (LAYOUT.pitch, LAYOUT.velocity, LAYOUT.tie, LAYOUT.program, LAYOUT.drum) == (
        514,
        642,
        644,
        645,
        773,
    )
    assert CODEC.vocabulary_size == 901


def test_order_is_by_step_program_ends_and_pitch_with_drums_last() -> None:
    rows = [
        (0.0, 1.0, 70, 90, 0),
        (0.0, 0.998, 71, 90, 1),
        (0.996, 2.0, 50, 90, 1),
        (1.004, 2.0, 72, 90, 0),
        (0.997, 1.1, 36, 90, 2),
    ]
    tokens = CODEC.encode(plain_notes(rows, parts=PARTS))[0].tokens.tolist()
    begin = tokens.index(100)
    piano = [100, 645, 642, 584, 643, 586]  # 70 ends, 72 begins
    violin = [685, 642, 585, 643, 564]  # the velocity is written again
    drum = [809]  # the velocity is not
    assert tokens[begin : tokens.index(200)] == (piano + violin + drum)


def test_a_note_of_no_steps_gets_one() -> None:
    notes = plain_notes([(1.0, 1.002, 60, 90, 0), (2.0, 2.5, 60, 90, 0)])
    assert rows_of(CODEC.decode(CODEC.encode(notes))) == [(100, 101, 60, 0, False), (200, 250, 60, 0, False)]


def test_a_note_that_ends_in_the_step_of_the_next_beginning_ends_first() -> None:
    # 1 ms of overlap, which the codec by exact time takes for a note of no length.
    notes = plain_notes([(0.0, 0.501, 60, 90, 0), (0.5, 1.0, 60, 90, 0)])
    assert rows_of(CODEC.decode(CODEC.encode(notes))) == [(0, 50, 60, 0, False), (50, 100, 60, 0, False)]


def test_more_steps_than_the_largest_shift_take_several_tokens() -> None:
    notes = plain_notes([(0.0, 5.13, 60, 90, 0), (10.26, 10.27, 61, 90, 0), (20.48, 20.6, 62, 90, 0)])
    first, second = CODEC.encode(notes, segment_frames=1024)
    begins = [644, 645, 643, 574, 513, 645, 642, 574]  # at 0 and 513
    pair = [513, 513, 645, 643, 575, 513, 513, 1, 645, 642, 575]  # at 1026 and 1027
    assert first.tokens.tolist() == begins + pair
    assert second.tokens.tolist() == [644, 645, 643, 576, 12, 645, 642, 576]


@given(grid_rows())
@settings(max_examples=20)
def test_notes_on_the_grid_come_back_whole_or_split(rows: list[Row]) -> None:
    notes = plain_notes(rows, parts=PARTS)
    for limit in (None, 60):
        segments = CODEC.encode(notes, limit=limit)
        assert rows_of(CODEC.decode(segments)) == rows_of(notes)
        assert all(len(segment.tokens) <= (limit or 10**6) for segment in segments)


def test_trailing_padding_changes_nothing() -> None:
    segments = CODEC.encode(GOLDEN)
    padded = [TokenSegment(np.append(s.tokens, [0, 0]), s.start_frame, s.frames) for s in segments]
    assert rows_of(CODEC.decode(padded)) == rows_of(CODEC.decode(segments))


def test_a_token_that_stands_for_nothing_is_refused() -> None:
    with pytest.raises(
        ValueError, match="token 901 at position 0 stands for nothing; those from 0 to 900 do"
    ):
        CODEC.decode([TokenSegment(np.array([901]), 0, 256)])
