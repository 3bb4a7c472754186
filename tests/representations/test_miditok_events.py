from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from segment_notes import GOLDEN, PARTS, grid_rows, rows_of  # pyright: ignore[reportMissingImports]

from ondes.errors import UserError
from ondes.representations.events import EventCodec, Mt3Codec, TokenSegment, make_codec
from ondes.representations.miditok_events import MidiTokCodec, _tokenizer
from plain_notes import Row, plain_notes  # pyright: ignore[reportMissingImports]

TSD, LIKE = MidiTokCodec(), MidiTokCodec("MIDILike")


def words(codec: MidiTokCodec, segment: TokenSegment) -> list[str]:
    tokenizer = _tokenizer(codec.scheme, codec.velocity_bins)
    return [tokenizer[index] for index in segment.tokens.tolist()]


def test_a_segment_is_ties_then_miditoks_words_then_the_end() -> None:
    notes = plain_notes(
        [(0.0, 6.0, 60, 127, 1), (5.5, 6.5, 64, 127, 0), (5.62, 7.0, 36, 127, 2)], parts=PARTS
    )
    first, second = TSD.encode(notes)
    assert words(TSD, first) == [
        *("TIE_None", "Program_40", "Pitch_60", "Velocity_127", "Duration_10.12.50", "EOS_None"),
    ]
    assert words(TSD, second) == [
        *("Program_40", "Pitch_60", "TIE_None"),
        *("Program_40", "Pitch_60", "Velocity_127", "Duration_1.38.50"),
        *("TimeShift_0.38.50", "Program_0", "Pitch_64", "Velocity_127", "Duration_2.0.50"),
        *("TimeShift_0.12.50", "Program_-1", "PitchDrum_36", "Velocity_127", "Duration_0.1.50", "EOS_None"),
    ]
    assert words(LIKE, LIKE.encode(notes)[1])[:6] == [
        *("Program_40", "NoteOn_60", "TIE_None", "Program_40", "NoteOn_60", "Velocity_127"),
    ]


def test_padding_is_0_and_the_vocabulary_is_miditoks() -> None:
    for codec in (TSD, LIKE):
        vocabulary = _tokenizer(codec.scheme, 32).vocab
        assert vocabulary["PAD_None"] == codec.pad_id == 0
        assert max(vocabulary.values()) == codec.vocabulary_size - 1


@given(grid_rows())
@settings(max_examples=8)
def test_notes_on_the_grid_come_back(rows: list[Row]) -> None:
    notes = plain_notes(rows, parts=PARTS)
    for codec in (TSD, LIKE):
        decoded = codec.decode(codec.encode(notes))
        assert rows_of(decoded) == rows_of(notes)
    assert np.abs(np.sort(decoded.velocity) - np.sort(notes.velocity)).max(initial=0) <= 3


def test_split_segments_lose_no_note() -> None:
    segments = TSD.encode(GOLDEN, limit=20)
    assert len(segments) > 2
    assert all(len(segment.tokens) <= 20 for segment in segments)
    assert rows_of(TSD.decode(segments)) == [
        (onset, onset + 1 if is_drum else release, pitch, program, is_drum)
        for onset, release, pitch, program, is_drum in rows_of(GOLDEN)
    ]


def test_a_window_is_the_segment_that_begins_there() -> None:
    for segment in TSD.encode(GOLDEN):
        window = TSD.encode_window(GOLDEN, start_frame=segment.start_frame, frames=256)
        assert window.tolist() == segment.tokens.tolist()


def test_a_note_struck_again_at_the_cut_is_not_tied() -> None:
    notes = plain_notes([(0.0, 5.12, 60, 90, 0), (5.12, 6.0, 60, 90, 0)])
    for codec in (TSD, LIKE):
        segments = codec.encode(notes)
        assert words(codec, segments[1])[0] == "TIE_None"
        assert rows_of(codec.decode(segments)) == [(0, 512, 60, 0, False), (512, 600, 60, 0, False)]


def test_tsd_keeps_notes_that_overlap_on_one_key() -> None:
    notes = plain_notes([(0.0, 2.0, 60, 90, 0), (1.0, 6.0, 60, 90, 0), (1.5, 7.0, 60, 90, 0)])
    assert rows_of(TSD.decode(TSD.encode(notes))) == rows_of(notes)


def test_silence_has_only_a_tie_and_an_end() -> None:
    assert [words(TSD, segment) for segment in TSD.encode(plain_notes([], duration_s=1.0))] == [
        ["TIE_None", "EOS_None"]
    ]


def test_a_codec_is_made_again_from_its_config_and_checks_its_vocabulary() -> None:
    made = make_codec(LIKE.to_config())
    assert isinstance(made, EventCodec)
    assert made.to_config() == LIKE.to_config()
    assert made.encode(GOLDEN)[0].tokens.tolist() == LIKE.encode(GOLDEN)[0].tokens.tolist()
    with pytest.raises(UserError, match="makes another vocabulary than the one the model was saved with"):
        make_codec(TSD.to_config() | {"velocity_bins": 16})


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(UserError, match="no MidiTok scheme 'REMI'; Allowed: MIDILike, TSD"):
        MidiTokCodec("REMI")
    with pytest.raises(
        ValueError, match="segments of 300 frames; MidiTok tokens have durations of at most 275"
    ):
        TSD.encode(GOLDEN, segment_frames=300)
    with pytest.raises(ValueError, match="token 9999 at position 1 stands for nothing"):
        TSD.decode([TokenSegment(np.array([2, 9999]), 0, 256)])


def test_without_miditok_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miditok", None)
    _tokenizer.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'ondes\[tokens\]'"):
        MidiTokCodec().encode(GOLDEN)
    _tokenizer.cache_clear()


def test_sequences_are_longer_than_those_of_the_published_codec() -> None:
    ours = sum(len(segment.tokens) for segment in Mt3Codec().encode(GOLDEN))
    assert ours < sum(len(segment.tokens) for segment in TSD.encode(GOLDEN))
