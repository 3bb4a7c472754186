"""The transcriber gives the package's own numbers; F1 is right where it is known."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.evaluation import transcription
from ondes.evaluation.transcription import NoteScore, Transcript

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads((GOLDEN / "transcription.json").read_text())


@pytest.fixture(scope="module")
def inputs() -> dict:
    return runpy.run_path(str(GOLDEN / "make_transcription.py"))


def as_transcript(onset_s, pitch):
    onset_s = np.asarray(onset_s, float)
    return Transcript(onset_s, onset_s + 0.4, np.asarray(pitch), np.ones(len(onset_s)))


def as_audio(samples, rate_hz):
    return Audio(np.atleast_2d(samples).astype(np.float32), rate_hz)


def test_activations_equal_the_packages(golden, inputs):
    frames, onsets = transcription.activations(inputs["signal"]())
    assert list(frames.shape) == golden["shape"]
    np.testing.assert_allclose(frames.sum(axis=0), golden["note_sum_per_pitch"], atol=2e-3)
    np.testing.assert_allclose(onsets.sum(axis=0), golden["onset_sum_per_pitch"], atol=2e-3)


def test_notes_of_the_signal_equal_the_packages(golden, inputs):
    heard = transcription.transcribe(as_audio(inputs["signal"](), 22050))
    begin, end, pitch, amplitude = np.array(golden["notes_of_signal"]).T
    times_s = transcription.frame_times_s(golden["shape"][0])
    np.testing.assert_array_equal(heard.pitch, pitch)
    np.testing.assert_allclose(heard.onset_s, times_s[begin.astype(int)], atol=1e-9)
    np.testing.assert_allclose(heard.release_s, times_s[end.astype(int)], atol=1e-9)
    np.testing.assert_allclose(heard.amplitude, amplitude, atol=1e-4)


def test_every_branch_of_note_creation_equals_the_packages(golden, inputs):
    heard = transcription.to_transcript(*inputs["random_activations"]())
    begin, end, pitch = np.array(golden["notes_of_random_activations"]).T
    times_s = transcription.frame_times_s(400)
    np.testing.assert_array_equal(heard.pitch, pitch)
    np.testing.assert_array_equal(heard.onset_s, times_s[begin])
    np.testing.assert_array_equal(heard.release_s, times_s[end])


def test_frame_times_equal_the_packages(golden):
    np.testing.assert_allclose(transcription.frame_times_s(700)[::50], golden["frame_times_s"], atol=1e-12)


def test_plucked_notes_are_heard_again_and_other_notes_are_not(inputs, make_notes):
    rate_hz = 44100
    at_44100 = np.repeat(inputs["signal"](), 2)  # images lie above 11 kHz, where nothing is judged
    audio = as_audio(np.stack([at_44100, at_44100]), rate_hz)
    onset_s, _, pitch = np.array(inputs["NOTES"]).T
    assert transcription.note_f1(audio, make_notes(onset_s, pitch)) > 0.6  # octave ghosts: 5 too many of 11
    assert transcription.note_f1(audio, make_notes(onset_s + 0.2, pitch + 1)) < 0.1


def test_silence_has_no_notes(make_notes):
    audio = as_audio(np.zeros(44100), 44100)
    assert len(transcription.transcribe(audio)) == 0
    assert transcription.note_f1(audio, make_notes([0.1], [60])) == 0.0


def test_f1_of_exact_notes_is_one_whatever_their_releases(make_notes):
    onset_s, pitch = [0.1, 0.1, 0.5, 0.9], [60, 64, 60, 72]
    assert transcription.score_notes(as_transcript(onset_s, pitch), make_notes(onset_s, pitch)) == NoteScore(
        1, 1, 1
    )


def test_f1_counts_by_hand(make_notes):
    heard = as_transcript([0.14, 0.56, 0.9, 2.0], [60, 60, 73, 50])  # in time; too late; wrong pitch; extra
    score = transcription.score_notes(heard, make_notes([0.1, 0.5, 0.9], [60, 60, 72]))
    assert score.precision == pytest.approx(1 / 4)
    assert score.recall == pytest.approx(1 / 3)
    assert score.f1 == pytest.approx(2 / 7)


def test_drums_are_left_out_and_unisons_count_once(make_notes):
    notes = make_notes([0.1, 0.1, 0.1, 0.4], [60, 60, 38, 60], is_drum=[False, False, True, False])
    assert transcription.score_notes(as_transcript([0.1, 0.4], [60, 60]), notes) == NoteScore(1, 1, 1)


def test_no_notes_score_zero(make_notes):
    empty = make_notes([], np.zeros(0, int))
    assert transcription.score_notes(as_transcript([0.1], [60]), empty) == NoteScore(0, 0, 0)


def test_a_missing_extra_is_named(monkeypatch, make_notes):
    monkeypatch.setitem(sys.modules, "mir_eval.transcription", None)
    with pytest.raises(UserError, match=r"pip install 'ondes\[eval\]'"):
        transcription.score_notes(as_transcript([0.1], [60]), make_notes([0.1], [60]))
