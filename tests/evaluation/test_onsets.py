"""Harmonic rise separates played notes from others, and knows nothing where there is nothing to know."""

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.evaluation import onsets
from ondes.evaluation.onsets import roc_auc

RATE_HZ = 44100


@pytest.fixture
def tune(make_notes):
    def make(count=24, seed=0):
        random = np.random.default_rng(seed)
        return make_notes(random.uniform(0.3, 9.0, count), random.integers(48, 84, count), length_s=0.4)

    return make


def play(notes, *, gain=0.1):
    """Sines with two overtones and a 10 ms attack, in stereo of opposite sign."""
    samples = np.zeros(10 * RATE_HZ)
    for onset_s, release_s, pitch in zip(notes.onset_s, notes.release_s, notes.pitch, strict=True):
        time_s = np.arange(int((release_s - onset_s) * RATE_HZ)) / RATE_HZ
        base_hz = 440 * 2 ** ((pitch - 69) / 12)
        tone = sum(np.sin(2 * np.pi * k * base_hz * time_s) / k for k in (1, 2, 3))
        start = int(onset_s * RATE_HZ)
        samples[start : start + len(time_s)] += gain * tone * np.minimum(1, time_s / 0.01)
    return Audio(np.stack([samples, -samples]).astype(np.float32), RATE_HZ)


def test_area_under_the_curve_by_hand():
    assert roc_auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert roc_auc(np.array([0.0]), np.array([1.0, 2.0])) == 0.0
    assert roc_auc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5
    assert roc_auc(np.array([1.0, 3.0]), np.array([2.0, 0.0])) == 0.75


def test_played_notes_are_separated_almost_perfectly(tune):
    notes = tune()
    assert onsets.onset_auc(play(notes), notes) > 0.95


def test_other_notes_and_noise_are_near_chance(tune):
    notes = tune(200)
    noise = 0.1 * np.random.default_rng(3).normal(size=(2, 10 * RATE_HZ)).astype(np.float32)
    assert onsets.onset_auc(Audio(noise, RATE_HZ), notes) == pytest.approx(0.5, abs=0.08)
    assert onsets.onset_auc(play(tune(24, seed=9)), tune(24)) < 0.75


def test_silence_is_exactly_chance(tune):
    assert onsets.onset_auc(Audio.silence(10.0), tune()) == 0.5


def test_the_measure_does_not_depend_on_level(tune):
    notes = tune()
    quiet, loud = (onsets.onset_auc(play(notes, gain=gain), notes) for gain in (0.001, 0.2))
    assert quiet == pytest.approx(loud, abs=1e-3)


def test_gain_of_harmonics_that_double_is_three_quarters_of_the_loudest():
    # Energies 1 before and 4 after, at pitches whose quarter tones lie outside the windows' main lobe.
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    level = np.where(time_s < 1.0, 0.05, 0.1)
    tone = sum(level * np.sin(2 * np.pi * 880 * k * time_s) for k in range(1, 6))
    audio = Audio(np.stack([tone, tone]).astype(np.float32), RATE_HZ)
    rise_db = onsets.harmonic_rise_db(audio, np.array([1.0, 0.5]), np.array([81, 81]))
    np.testing.assert_allclose(rise_db, [10 * np.log10(0.75 / onsets.FLOOR + 1), 0.0], atol=0.05)


def test_a_click_gains_nothing_at_any_pitch():
    samples = np.zeros((2, 2 * RATE_HZ), np.float32)
    samples[:, RATE_HZ + 1000] = 1.0
    rise_db = onsets.harmonic_rise_db(Audio(samples, RATE_HZ), np.array([1.0, 1.0]), np.array([60, 81]))
    np.testing.assert_allclose(rise_db, 0.0, atol=0.01)


def test_controls_keep_away_from_notes_of_their_pitch(tune):
    notes = tune(80)
    times_s, pitch = onsets.control_points(notes, end_s=9.5, seed=4)
    assert len(times_s) > 40
    assert set(pitch) <= set(notes.pitch)
    for time_s, value in zip(times_s, pitch, strict=True):
        own = notes.pitch == value
        assert not np.any((time_s > notes.onset_s[own] - 0.24) & (time_s < notes.release_s[own] + 0.1))


def test_no_notes_have_no_figure(make_notes):
    empty = make_notes([], [])
    assert np.isnan(onsets.onset_auc(Audio.silence(2.0), empty))
