from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from segment_notes import GOLDEN, PARTS, grid_rows, rows_of, texts  # pyright: ignore[reportMissingImports]

from ondes.controls import Controls
from ondes.errors import UserError
from ondes.notes import Notes, Part
from ondes.representations.events import (
    SLAKH_PROGRAMS,
    Mt3Codec,
    TokenSegment,
    make_codec,
    pad_tokens,
    slakh_programs,
)
from ondes.representations.port_events import PortCodec
from plain_notes import Row, plain_notes  # pyright: ignore[reportMissingImports]

CODEC = Mt3Codec()
TIE, EOS, ON, OFF = 1134, 1, 1133, 1132


def dense(notes: int) -> Notes:
    """Many notes, four beginning every 20 ms, over 10 s."""
    rows = [(n // 4 * 0.02 % 10, n // 4 * 0.02 % 10 + 0.3, 30 + n % 61, 80, n % 2) for n in range(notes)]
    return plain_notes(rows, parts=PARTS, duration_s=10.24)


def test_tokens_are_those_of_the_hugging_face_pipeline() -> None:
    assert texts(CODEC.encode(GOLDEN)) == [
        "1134 1135 1133 1064 1299 53 1068 1175 1076 103 1135 1132 1064 1068 1133 1301 403 1071 1",
        "1135 1071 1175 1076 1134 11 1133 1299 41 1132 1076 91 1135 1071 1",
    ]


def test_the_vocabulary_is_the_published_one() -> None:
    layout = CODEC.layout
    assert (layout.offset, layout.pitch, layout.velocity, layout.tie) == (3, 1004, 1132, 1134)
    assert (layout.program, layout.drum, layout.size) == (1135, 1263, 1391)
    assert CODEC.vocabulary_size == 1536
    assert Mt3Codec(velocity_bins=127).layout.size == 1391 + 126


@pytest.mark.parametrize(
    ("duration_s", "frames"), [(5.0, [250]), (5.12, [256]), (5.121, [256, 1]), (10.24, [256, 256])]
)
def test_segments_cover_the_song_and_no_more(duration_s: float, frames: list[int]) -> None:
    segments = CODEC.encode(plain_notes([(0.0, duration_s, 60, 90, 0)]))
    assert [segment.frames for segment in segments] == frames
    assert [segment.start_frame for segment in segments] == [256 * index for index in range(len(frames))]


def test_a_song_without_notes_is_silent_and_one_of_no_duration_has_no_segments() -> None:
    assert texts(CODEC.encode(plain_notes([], duration_s=6.0))) == ["1134 1", "1134 1"]
    assert CODEC.encode(plain_notes([])) == []
    empty = CODEC.decode([])
    assert len(empty) == 0
    assert empty.duration_s == 0


def test_halves_of_a_step_round_to_the_even_one() -> None:
    # 0.125 s and 0.375 s are exact in binary: steps 12 and 38, not 13 and 38.
    tokens = CODEC.encode(plain_notes([(0.125, 0.375, 60, 90, 0)]))[0].tokens.tolist()
    assert tokens == [TIE, 3 + 12, 1135, ON, 1064, 3 + 38, OFF, 1064, EOS]


def test_within_a_step_exact_times_decide_and_ends_come_first_only_at_the_same_time() -> None:
    repeated = CODEC.encode(plain_notes([(0.0, 0.5, 60, 90, 0), (0.5, 1.0, 60, 90, 0)]))[0].tokens.tolist()
    assert repeated[4:8] == [3 + 50, OFF, 1064, ON]
    overlapping = [(0.0, 0.501, 60, 90, 0), (0.4995, 1.0, 60, 90, 0)]
    late = CODEC.encode(plain_notes(overlapping))[0].tokens.tolist()
    assert late == [TIE, 1135, ON, 1064, 3 + 50, 1064, OFF, 1064, 3 + 100, 1064, EOS]


def test_a_note_that_begins_and_ends_in_one_step_begins_first() -> None:
    tokens = CODEC.encode(plain_notes([(1.0, 1.002, 60, 90, 0)]))[0].tokens.tolist()
    assert tokens == [TIE, 3 + 100, 1135, ON, 1064, OFF, 1064, EOS]
    decoded = CODEC.decode(CODEC.encode(plain_notes([(1.0, 1.002, 60, 90, 0)])))
    assert rows_of(decoded) == [(100, 101, 60, 0, False)]


def test_shifts_beyond_ten_seconds_take_several_tokens() -> None:
    notes = plain_notes([(23.5, 24.0, 60, 90, 0)])
    (segment,) = CODEC.encode(notes, segment_frames=1500)
    assert segment.tokens.tolist()[1:4] == [1003, 1003, 3 + 350]
    assert rows_of(CODEC.decode([segment])) == rows_of(notes)


def test_velocity_bins_round_up() -> None:
    codec = Mt3Codec(velocity_bins=4)
    velocities = np.array([0, 1, 31, 32, 64, 127])
    assert codec.layout.to_bins(velocities).tolist() == [int(np.ceil(4 * v / 127)) for v in velocities]
    notes = plain_notes([(0.1 * n, 0.1 * n + 0.1, 60 + n, v, 0) for n, v in enumerate([1, 40, 90, 127])])
    assert codec.decode(codec.encode(notes)).velocity.tolist() == [31, 63, 95, 127]
    exact = Mt3Codec(velocity_bins=127)
    assert exact.decode(exact.encode(notes)).velocity.tolist() == [1, 40, 90, 127]
    assert CODEC.decode(CODEC.encode(notes)).velocity.tolist() == [100] * 4


def test_granularity_drops_or_floors_programs_in_ties_and_events() -> None:
    family, flat = Mt3Codec(granularity="midi_class"), Mt3Codec(granularity="flat")
    parts = [Part("Viola", 41, False, Controls()), Part("Piano", 5, False, Controls())]
    notes = plain_notes([(0.0, 6.0, 60, 90, 0), (1.0, 6.0, 64, 90, 1)], parts=parts)
    assert texts(family.encode(notes)) == [
        "1134 1175 1133 1064 103 1135 1068 1",
        "1135 1068 1175 1064 1134 91 1135 1132 1068 1175 1064 1",
    ]
    assert texts(flat.encode(notes)) == ["1134 1133 1064 103 1068 1", "1068 1064 1134 91 1132 1068 1064 1"]


def test_programs_are_remembered_over_the_tie_and_the_steps_of_a_segment() -> None:
    notes = plain_notes([(0.0, 7.0, 60, 90, 1), (6.0, 7.0, 64, 90, 1)], parts=PARTS)
    # The violin's program stands in the tie section only.
    assert texts(CODEC.encode(notes))[1] == "1175 1064 1134 91 1133 1068 191 1132 1064 1068 1"


@given(grid_rows())
@settings(max_examples=25)
def test_notes_on_the_grid_come_back(rows: list[Row]) -> None:
    notes = plain_notes(rows, parts=PARTS)
    for codec in (CODEC, Mt3Codec(velocity_bins=127)):
        decoded = codec.decode(codec.encode(notes))
        assert rows_of(decoded) == rows_of(notes)
    assert decoded.velocity.sum() == notes.velocity.sum()
    assert decoded.duration_s == pytest.approx(np.ceil(round(notes.duration_s * 100) / 2) / 50)


@given(grid_rows())
@settings(max_examples=20)
def test_split_segments_lose_no_note(rows: list[Row]) -> None:
    notes = plain_notes(rows, parts=PARTS)
    segments = CODEC.encode(notes, limit=40)
    assert all(len(segment.tokens) <= 40 for segment in segments)
    ends = [segment.start_frame + segment.frames for segment in segments]
    assert [segment.start_frame for segment in segments] == [0, *ends[:-1]][: len(ends)]
    assert rows_of(CODEC.decode(segments)) == rows_of(notes)


def test_only_full_segments_are_split() -> None:
    notes = dense(2000)
    whole = CODEC.encode(notes, limit=None)
    most = max(len(segment.tokens) for segment in whole)
    assert texts(CODEC.encode(notes, limit=most)) == texts(whole)
    pieces = CODEC.encode(notes, limit=most - 1)
    assert len(pieces) > len(whole)
    assert sum(segment.frames for segment in pieces) == 512


def test_a_frame_of_too_many_tokens_is_refused() -> None:
    notes = plain_notes([(1.0, 2.0, pitch, 90, 0) for pitch in range(128)])
    with pytest.raises(UserError, match=r"132 tokens in the 20 ms at 1.00 s; the model reads at most 100"):
        CODEC.encode(notes, limit=100)


@given(grid_rows())
@settings(max_examples=12)
def test_a_window_is_the_segment_that_begins_there(rows: list[Row]) -> None:
    notes = plain_notes(rows, parts=PARTS)
    for codec in (CODEC, PortCodec()):
        for segment in codec.encode(notes):
            window = codec.encode_window(notes, start_frame=segment.start_frame, frames=256)
            assert window.tolist() == segment.tokens.tolist()


def test_a_window_anywhere_decodes_to_what_sounds_there() -> None:
    notes = plain_notes([(0.0, 1.0, 60, 90, 0), (0.5, 5.0, 62, 90, 1), (2.1, 2.3, 64, 90, 0)], parts=PARTS)
    tokens = CODEC.encode_window(notes, start_frame=100, frames=50)
    decoded = CODEC.decode([TokenSegment(tokens, 0, 50)])
    assert rows_of(decoded) == [(0, 100, 62, 40, False), (10, 30, 64, 0, False)]


def test_notes_that_began_before_the_song_are_tied() -> None:
    notes = plain_notes([(0.0, 3.0, 60, 90, 0), (1.0, 1.5, 62, 90, 0)], parts=PARTS).window(0.5, 4.0)
    assert texts(CODEC.encode(notes))[0].startswith("1135 1064 1134 53 1133 1066 ")


def test_no_note_is_tied_after_the_last_event() -> None:
    # A drum outlasts the piano; the official code ties the piano again in the second segment.
    notes = plain_notes([(0.0, 1.0, 60, 90, 0), (0.5, 6.0, 40, 90, 2)], parts=PARTS)
    assert texts(CODEC.encode(notes))[1] == "1134 1"


def test_padding_and_what_follows_the_end_is_passed_over() -> None:
    (segment,) = CODEC.encode(plain_notes([(0.0, 1.0, 60, 90, 0)]))
    padded = np.concatenate([[0], segment.tokens, [0, 1400, 0]])
    assert rows_of(CODEC.decode([TokenSegment(padded, 0, 256)])) == [(0, 100, 60, 0, False)]


@pytest.mark.parametrize("token", [-1, 2, 1391, 1535])
def test_a_token_that_stands_for_nothing_is_refused(token: int) -> None:
    with pytest.raises(
        ValueError, match=f"token {token} at position 1 stands for nothing; those from 3 to 1390"
    ):
        CODEC.decode([TokenSegment(np.array([TIE, token]), 0, 256)])


def test_padding_fills_up_and_cuts_nothing() -> None:
    sequences = [np.array([5, 1]), np.array([7, 8, 1])]
    assert pad_tokens(sequences, length=None).tolist() == [[5, 1, 0], [7, 8, 1]]
    assert pad_tokens(sequences, length=4, pad_id=9).tolist() == [[5, 1, 9, 9], [7, 8, 1, 9]]
    assert pad_tokens([], length=4).shape == (0, 4)
    with pytest.raises(ValueError, match="3 tokens do not fit in 2; encode with limit=2"):
        pad_tokens(sequences, length=2)


def test_programs_are_floored_to_the_classes_of_slakh() -> None:
    assert len(SLAKH_PROGRAMS) == 34
    mapped = {
        3: 0,
        7: 4,
        15: 8,
        25: 24,
        28: 26,
        45: 43,
        49: 48,
        59: 58,
        65: 64,
        72: 71,
        89: 88,
        127: 88,
        70: 70,
    }
    parts = [Part(str(program), program, False, Controls()) for program in mapped]
    notes = plain_notes(
        [(0.0, 1.0, 60, 90, part) for part in range(len(mapped) + 1)],
        parts=[*parts, Part("Drums", 0, True, Controls())],
    )
    floored = slakh_programs(notes)
    assert floored.program.tolist() == [*mapped.values(), 0]
    assert [part.program for part in floored.parts] == [*mapped.values(), 0]


@pytest.mark.parametrize("codec", [CODEC, Mt3Codec(velocity_bins=32, granularity="flat"), PortCodec()])
def test_a_codec_is_made_again_from_its_config(codec: Mt3Codec | PortCodec) -> None:
    assert make_codec(codec.to_config()) == codec


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"name": "mt4"}, "no token codec 'mt4'; did you mean 'mt3'"),
        ({"name": "mt3", "velocity_bin": 3}, "no field 'velocity_bin'; did you mean 'velocity_bins'"),
        ({"name": "mt3", "velocity_bins": 0}, "velocity_bins is 0; give 1 to 127"),
        ({"name": "mt3", "granularity": "half"}, "no granularity 'half'; .*Allowed: flat, full, midi_class"),
    ],
)
def test_wrong_configs_are_refused(config: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_codec(config)


@pytest.mark.parametrize("frames", [0, -1])
def test_segments_and_windows_have_frames(frames: int) -> None:
    with pytest.raises(ValueError, match=f"{frames} frames; give at least 1"):
        CODEC.encode(GOLDEN, segment_frames=frames)
    with pytest.raises(ValueError, match=f"{frames} frames; give at least 1"):
        CODEC.encode_window(GOLDEN, start_frame=0, frames=frames)
