"""Recordings: sums of stems, joined notes, what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from ondes.datasets.recordings import (
    Recording,
    RejectedError,
    Rejections,
    joined,
    notes_of_rows,
    without_overlaps,
)
from ondes.errors import UserError
from public_layouts import RATE_HZ, write_tone


def plain(tmp_path, audio, **settings):
    def load():
        return notes_of_rows([(0.0, 1.0, 60, 100, 0)], [("a", 0, False)])

    return Recording("x", "test", "train", tuple(audio), (), load, **settings)


def test_stems_of_different_lengths_and_channels_are_added_up(tmp_path):
    long = write_tone(tmp_path / "a.wav", 300, seconds=0.5, channels=2)
    short = write_tone(tmp_path / "b.wav", 500, seconds=0.2)
    found = plain(tmp_path, [tmp_path / "b.wav", tmp_path / "a.wav"], gain=0.5).read_audio(RATE_HZ)
    expected = long.copy()
    expected[: len(short)] += short
    np.testing.assert_allclose(found, expected / 2, atol=1e-6)


def test_audio_is_resampled_after_the_sum(tmp_path):
    write_tone(tmp_path / "a.wav", 440, gain=0.5)
    found = plain(tmp_path, [tmp_path / "a.wav"]).read_audio(16000)
    assert len(found) == 8000
    spectrum = np.abs(np.fft.rfft(found * np.hanning(8000)))
    assert np.fft.rfftfreq(8000, 1 / 16000)[spectrum.argmax()] == 440


def test_missing_cut_and_mixed_files_are_named(tmp_path):
    with pytest.raises(RejectedError, match="missing audio"):
        plain(tmp_path, [tmp_path / "a.wav"]).read_audio(RATE_HZ)
    write_tone(tmp_path / "a.flac")
    soundfile.write(tmp_path / "b.flac", np.zeros(100), 44100)
    with pytest.raises(RejectedError, match="stems of different sample rates"):
        plain(tmp_path, [tmp_path / "a.flac", tmp_path / "b.flac"]).read_audio(RATE_HZ)
    soundfile.write(tmp_path / "c.wav", np.zeros(0), 44100)
    with pytest.raises(RejectedError, match="corrupt audio"):
        plain(tmp_path, [tmp_path / "c.wav"]).read_audio(RATE_HZ)


def test_joined_notes_keep_their_parts():
    high = notes_of_rows([(0.5, 1.0, 72, 90, 0), (0.0, 0.4, 74, 90, 1)], [("a", 40, False), ("b", 41, False)])
    low = notes_of_rows([(0.25, 2.0, 36, 80, 0)], [("drums", 0, True)])
    both = joined([high, low])
    assert both.pitch.tolist() == [74, 36, 72]
    assert [both.parts[part].name for part in both.part] == ["b", "drums", "a"]
    assert both.is_drum.tolist() == [False, True, False]
    assert both.duration_s == 2.0


def test_overlaps_end_where_the_pitch_begins_again_in_the_same_program_only():
    rows = [(0.0, 2.0, 60, 100, 0), (1.0, 3.0, 60, 100, 1), (1.5, 4.0, 60, 100, 2), (0.5, 4.0, 62, 100, 0)]
    parts = [("a", 0, False), ("b", 0, False), ("c", 9, False)]
    cut = without_overlaps(notes_of_rows(rows, parts))
    found = sorted(zip(cut.onset_s.tolist(), cut.release_s.tolist(), cut.pitch.tolist(), strict=True))
    assert found == [(0.0, 1.0, 60), (0.5, 4.0, 62), (1.0, 3.0, 60), (1.5, 4.0, 60)]
    twice = notes_of_rows([(0.0, 1.0, 60, 100, 0), (0.0, 2.0, 60, 100, 1)], parts)
    assert without_overlaps(twice).release_s.tolist() == [2.0]


@pytest.mark.parametrize(
    "row", [(-0.1, 1.0, 60, 100, 0), (0.0, 1.0, 128, 100, 0), (float("nan"), 1.0, 60, 100, 0)]
)
def test_numbers_that_are_no_notes_are_refused(row):
    with pytest.raises(UserError, match="repair the annotation"):
        notes_of_rows([row], [("a", 0, False)])


@pytest.mark.parametrize("program", [-1, 128])
def test_programs_that_general_midi_has_not_are_refused(program):
    with pytest.raises(UserError, match="beyond program 0 to 127"):
        notes_of_rows([(0.0, 1.0, 60, 100, 0)], [("a", program, False)])


def test_notes_are_at_least_a_millisecond_long_and_none_is_a_rejection(tmp_path):
    assert notes_of_rows([(1.0, 1.0, 60, 100, 0)], [("a", 0, False)]).release_s.tolist() == [1.001]
    empty = Recording("x", "test", "train", (), (), lambda: notes_of_rows([], []))
    with pytest.raises(RejectedError, match="no notes"):
        empty.read_notes()


def test_rejections_add_up():
    first, second = Rejections(), Rejections()
    first.add("a", "1", "no notes")
    second.add("b", "2", "too short")
    second.add("b", "3", "too short", "0.1 s")
    first.update(second)
    assert first.lines() == ["2 x too short, the first b 2", "1 x no notes, the first a 1"]
