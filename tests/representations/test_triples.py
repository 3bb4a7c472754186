"""Triples: the rule that chooses a track, real ticks, encodings of pitch, and what noise does to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic.core import ControlChangeTick, NoteTick, ScoreTick, TrackTick

from ondes.errors import UserError
from ondes.representations.triples import (
    PITCH_ENCODINGS,
    SCALINGS,
    TripleLimits,
    TripleStatistics,
    choose_track,
    decode_pitch,
    encode_pitch,
    from_scaled,
    from_triples,
    to_scaled,
    to_segments,
    to_triples,
)

Note = tuple[int, int, int]
"""Onset and duration in ticks, pitch."""


def track(program: int, notes: list[Note], *, is_drum: bool = False, controls: int = 0) -> TrackTick:
    made = TrackTick("", program, is_drum)
    for onset, duration, pitch in notes:
        made.notes.append(NoteTick(onset, duration, pitch, 80))
    for time in range(controls):
        made.controls.append(ControlChangeTick(time, 64, 127))
    return made


def score(*tracks: TrackTick, ticks_per_quarter: int = 480) -> ScoreTick:
    made = ScoreTick(ticks_per_quarter)
    for one in tracks:
        made.tracks.append(one)
    return made


SCALE = [(480 * step, 240, 60 + step) for step in range(8)]


def test_the_keyboard_with_most_messages_is_chosen() -> None:
    violin = track(40, SCALE * 4)
    piano, organ, clavinet = track(0, SCALE), track(19, SCALE[:7], controls=3), track(7, SCALE[:2])
    assert choose_track(score(violin, clavinet, piano)) == 2
    assert choose_track(score(violin, piano, organ)) == 2  # 14 + 3 messages against 16
    assert choose_track(score(piano, track(16, SCALE))) == 0  # the first of equals
    assert choose_track(score(violin, track(8, SCALE), track(24, SCALE))) is None
    assert choose_track(score()) is None


def test_drums_and_tracks_without_notes_are_never_a_piano() -> None:
    drums = track(0, SCALE * 9, is_drum=True)
    assert choose_track(score(drums, track(0, SCALE[:1]))) == 1
    assert choose_track(score(drums, track(0, [], controls=9))) is None


@pytest.mark.parametrize("ticks_per_quarter", [96, 120, 480, 960])
def test_times_are_quarter_notes_of_the_file_itself(ticks_per_quarter: int) -> None:
    half = ticks_per_quarter // 2
    notes = [(2 * half, half, 60), (2 * half, 2 * half, 64), (5 * half, 8 * half, 67)]
    made = to_triples(score(track(0, notes), ticks_per_quarter=ticks_per_quarter), 0)
    np.testing.assert_array_equal(made, [[60, 0.5, 1.0], [64, 1.0, 0.0], [67, 4.0, 1.5]])


def test_a_note_that_begins_while_its_pitch_sounds_is_left_out() -> None:
    # The second is left out, so the third is free; the fourth begins when the third ends.
    notes = [(0, 480, 60), (240, 960, 60), (720, 240, 60), (960, 240, 60), (240, 100, 61)]
    made = to_triples(score(track(0, notes)), 0)
    np.testing.assert_array_equal(made[:, 0], [60, 61, 60, 60])
    np.testing.assert_array_equal(np.cumsum(made[:, 2]) * 480, [0, 240, 720, 960])


def test_limits_are_in_quarter_notes_and_say_what_is_wrong() -> None:
    limits = TripleLimits(notes=2)
    fine = np.array([[60, 2048 / 960, 0], [60, 1, 2048 / 960]])
    assert limits.refusal(fine) is None
    assert limits.refusal(fine[:1]) == "fewer than 2 notes in the piano track"
    assert limits.refusal(fine + np.array([0, 0.01, 0])) == "a note longer than 2.133 quarter notes"
    assert limits.refusal(fine + np.array([0, 0, 0.01])) == "more than 2.133 quarter notes between onsets"
    assert TripleLimits(8, 8, notes=2).refusal(fine + np.array([0, 5, 5])) is None


def test_segments_follow_one_another_and_the_rest_is_dropped() -> None:
    triples = np.arange(36.0).reshape(12, 3)
    np.testing.assert_array_equal(to_segments(triples, notes=5), triples[:10].reshape(2, 5, 3))
    assert to_segments(triples[:4], notes=5).shape == (0, 5, 3)


def test_frequencies_are_those_of_equal_temperament() -> None:
    hertz = encode_pitch(np.array([0.0, 60, 69, 127]), "hz")
    np.testing.assert_allclose(hertz, [8.1758, 261.6256, 440, 12543.854], rtol=1e-5)
    np.testing.assert_allclose(encode_pitch(np.array([69.0]), "log_hz"), math.log10(440))


@pytest.mark.parametrize("encoding", PITCH_ENCODINGS)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_scaled_triples_come_back(encoding: str, scaling: str) -> None:
    rng = np.random.default_rng(0)
    pitch = np.append([0.0, 127.0], rng.integers(0, 128, 198))
    triples = np.stack([pitch, rng.uniform(0.1, 2, 200), rng.uniform(0, 2, 200)], 1)
    statistics = TripleStatistics.fit(triples, pitch_encoding=encoding, scaling=scaling)
    scaled = to_scaled(triples, statistics)
    if scaling == "minmax":
        np.testing.assert_allclose((scaled.min(0), scaled.max(0)), ([0] * 3, [1] * 3), atol=1e-12)
    else:
        np.testing.assert_allclose((scaled.mean(0), scaled.std(0)), ([0] * 3, [1] * 3), atol=1e-12)
    np.testing.assert_allclose(from_scaled(scaled, statistics), triples, atol=1e-12)
    assert TripleStatistics.from_config(statistics.to_config()) == statistics
    # Beyond the data: clipped to its range.
    np.testing.assert_allclose(from_scaled(np.full((1, 3), 99.0), statistics)[0], triples.max(0))
    np.testing.assert_allclose(from_scaled(np.full((1, 3), -99.0), statistics)[0], triples.min(0))


def test_nearest_in_hertz_is_not_nearest_in_semitones() -> None:
    middle = encode_pitch(np.array([60.5]), "hz")  # below the mean of its neighbours
    assert decode_pitch(middle, "hz") == 60
    assert decode_pitch(middle * 1.0005, "hz") == 61
    assert decode_pitch(np.array([-5.0, 1e6]), "hz").tolist() == [0, 127]


def test_log_frequency_and_note_number_scaled_alike_are_one_encoding() -> None:
    triples = np.stack([np.arange(30.0, 90), np.ones(60), np.arange(60) / 9], 1)
    for scaling in SCALINGS:
        scaled = [
            to_scaled(triples, TripleStatistics.fit(triples, pitch_encoding=name, scaling=scaling))
            for name in ("log_hz", "midi")
        ]
        np.testing.assert_allclose(scaled[0], scaled[1], atol=1e-12)


rows = st.tuples(
    st.integers(0, 127),
    st.integers(1, 4000).map(lambda n: n / 960),
    st.integers(0, 4000).map(lambda n: n / 960),
)


@settings(max_examples=40)
@given(st.lists(rows, min_size=1, max_size=30))
def test_a_score_of_triples_has_them_again(found: list[tuple[float, float, float]]) -> None:
    triples = np.array(found, np.float64)
    made = from_triples(triples)
    notes = made.tracks[0].notes.numpy()
    onset = np.cumsum(triples[:, 2])
    expected = sorted(zip(np.round(onset * 960), np.round(triples[:, 1] * 960), triples[:, 0], strict=True))
    assert sorted(zip(notes["time"], notes["duration"], notes["pitch"], strict=True)) == expected
    # Where no pitch begins again while it sounds, and chords are in order of pitch, nothing is lost.
    spaced = triples.copy()
    spaced[:, 2] += 5
    np.testing.assert_allclose(to_triples(from_triples(spaced), 0), spaced, atol=1e-9)


def test_wrong_statistics_and_names_are_refused() -> None:
    good = {"pitch_encoding": "hz", "scaling": "minmax", "low": [8, 0, 0], "high": [9, 1, 1]}
    assert TripleStatistics.from_config(good).scale.tolist() == [1, 1, 1]
    for change, words in (
        ({"pitch_encoding": "herz"}, "did you mean 'hz'"),
        ({"scaling": "z-score"}, "did you mean 'zscore'"),
        ({"low": [9, 0, 0]}, "statistics of pitch say 9 to 9"),
        ({"low": [8, 0]}, "incomplete"),
        ({"high": [math.nan, 1, 1]}, "NaN or infinity"),
        ({"lower": [8, 0, 0]}, "no field 'lower': did you mean 'low'"),
    ):
        with pytest.raises(UserError, match=words):
            TripleStatistics.from_config(good | change)
    with pytest.raises(UserError, match="no notes to take statistics of"):
        TripleStatistics.fit(np.zeros((0, 128, 3)), pitch_encoding="hz", scaling="minmax")
