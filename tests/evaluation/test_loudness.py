"""Loudness, true peak and coherence against numbers known beforehand."""

import math

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.evaluation.loudness import channel_coherence, loudness_lufs, true_peak_dbtp

RATE_HZ = 44100


def tone(hz, level, *, phase=0.0, duration_s=3.0, rate_hz=RATE_HZ):
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    return level * np.sin(2 * np.pi * hz * time_s + phase)


def noise(seed, scale=0.1):
    return scale * np.random.default_rng(seed).normal(size=10 * RATE_HZ)


def stereo(left, right):
    return Audio(np.stack([left, right]).astype(np.float32), RATE_HZ)


def test_a_full_scale_sine_of_997_hz_in_one_channel_has_minus_3_01_lufs():
    # The calibration of BS.1770-4, stated in its annex 1.
    assert loudness_lufs(stereo(tone(997, 1.0), np.zeros(3 * RATE_HZ))) == pytest.approx(-3.01, abs=0.05)


def test_both_channels_add_three_decibels_and_half_the_level_takes_six():
    both = stereo(tone(997, 0.5), tone(997, 0.5))
    assert loudness_lufs(both) == pytest.approx(-6.02, abs=0.05)


def test_silence_and_very_short_audio_have_no_loudness():
    assert loudness_lufs(Audio.silence(1.0)) == -math.inf
    assert loudness_lufs(Audio.silence(0.1)) == -math.inf


def test_true_peak_lies_between_the_samples():
    # At a quarter of the rate and 45 degrees every sample is at 0.707 of the crest (BS.1770-4, annex 2).
    wave = stereo(tone(RATE_HZ / 4, 0.5, phase=math.pi / 4), tone(RATE_HZ / 4, 0.25))
    assert 20 * math.log10(np.abs(wave.samples).max()) == pytest.approx(-9.03, abs=0.01)
    faded = wave.samples * np.hanning(wave.samples.shape[1]).astype(np.float32)
    assert true_peak_dbtp(Audio(faded, RATE_HZ)) == pytest.approx(-6.02, abs=0.1)


def test_silence_has_no_peak():
    assert true_peak_dbtp(Audio.silence(0.5)) == -math.inf


def test_coherence_of_copies_is_one_and_of_independent_noise_near_zero():
    assert channel_coherence(stereo(noise(1), -0.3 * noise(1))) == pytest.approx(1.0, abs=1e-6)
    assert channel_coherence(stereo(noise(1), noise(2))) < 0.01


def test_coherence_of_a_mixture_is_its_closed_form():
    # left = s, right = s + n of equal power: |S|^2 / (|S| (|S| + |N|)) = 1/2.
    assert channel_coherence(stereo(noise(1), noise(1) + noise(2))) == pytest.approx(0.5, abs=0.01)


def test_coherence_ignores_frequencies_that_the_reference_lacks():
    common = tone(500, 0.3, duration_s=10.0)
    ours = stereo(common + noise(1, 1e-4), common + noise(2, 1e-4))
    assert channel_coherence(ours) > 0.95
    assert channel_coherence(ours, heard_in=stereo(noise(3), noise(3))) < 0.1


def test_coherence_of_mono_silence_and_too_little():
    assert channel_coherence(Audio.silence(1.0, channels=1)) == 1.0
    assert math.isnan(channel_coherence(Audio.silence(3.0)))
    assert math.isnan(channel_coherence(Audio.silence(0.01)))
