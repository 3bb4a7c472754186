"""Distances between log-mel spectrograms have their closed forms."""

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.evaluation.spectra import log_mel, log_mel_distance, mean_spectrum, silence_spectrum


@pytest.fixture(scope="module")
def noise():
    return Audio(0.1 * np.random.default_rng(0).normal(size=(2, 44100)).astype(np.float32), 44100)


def test_twice_the_level_is_ln_two_away(noise):
    louder = Audio(2 * noise.samples, 44100)
    assert log_mel_distance(log_mel(louder), log_mel(noise)) == pytest.approx(np.log(2), abs=1e-3)


def test_the_same_audio_is_at_zero_and_order_does_not_matter(noise):
    one, other = log_mel(noise), log_mel(Audio(noise.samples[:, ::-1], 44100))
    assert log_mel_distance(one, one) == 0.0
    assert log_mel_distance(one, other) == pytest.approx(log_mel_distance(other, one))


def test_silence_is_the_floor():
    quiet = log_mel(Audio.silence(1.0))
    assert log_mel_distance(quiet, silence_spectrum()) < 1.5  # the front end adds 1e-9 under its root


def test_distances_use_the_frames_both_have(noise):
    whole = log_mel(noise)
    assert log_mel_distance(whole[..., :40], whole) == 0.0


def test_mean_spectrum_minimises_the_squared_distance(noise):
    spectrograms = [log_mel(noise), log_mel(noise)[..., :20] + 1]
    frames = np.concatenate(spectrograms, axis=-1)
    np.testing.assert_allclose(mean_spectrum(spectrograms)[..., 0], frames.mean(axis=-1), atol=1e-4)


def test_other_rates_and_mono_are_brought_to_the_front_end(noise):
    mono = Audio(noise.samples[:1, ::2], 22050)
    assert log_mel(mono).shape == (2, 128, 86)
