"""Clicks at joins are found; joins that cannot be heard have a ratio of one."""

import math

import numpy as np
import pytest

from ondes.audio import Audio
from ondes.evaluation.joins import flux_contrast, jump_contrast, pooled_ratio

RATE_HZ = 44100
JOINS_S = np.arange(1.0, 20.0, 0.7)


def texture(seed=0):
    """Noise through a one-pole low-pass, slowly swelling."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=(2, 20 * RATE_HZ))
    smooth = np.stack([np.convolve(row, np.hanning(32) / 16, mode="same") for row in steps])
    swell = 1 + 0.5 * np.sin(np.arange(20 * RATE_HZ) / RATE_HZ)
    return (0.05 * smooth * swell).astype(np.float32)


@pytest.mark.parametrize("contrast", [flux_contrast, jump_contrast])
def test_audio_without_joins_has_a_ratio_of_one(contrast):
    parts = [contrast(Audio(texture(seed), RATE_HZ), JOINS_S) for seed in range(2)]
    assert pooled_ratio(parts) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("contrast", [flux_contrast, jump_contrast])
def test_steps_at_joins_are_found_and_elsewhere_are_not(contrast):
    stepped = texture()
    for k, join_s in enumerate(JOINS_S):
        stepped[:, round(join_s * RATE_HZ) :] += 0.3 * (-1) ** k
    audio = Audio(stepped, RATE_HZ)
    assert contrast(audio, JOINS_S).ratio > 1.5
    assert contrast(audio, JOINS_S + 0.35).ratio < 1.0


def test_the_jump_of_a_silent_file_is_not_a_number():
    assert math.isnan(jump_contrast(Audio.silence(3.0), np.array([1.0])).ratio)


def test_no_joins_have_no_ratio():
    assert math.isnan(flux_contrast(Audio(texture(), RATE_HZ), np.zeros(0)).ratio)
    assert math.isnan(pooled_ratio([]))


def test_pooling_weighs_by_joins():
    one = flux_contrast(Audio(texture(), RATE_HZ), JOINS_S[:3])
    other = flux_contrast(Audio(texture(1), RATE_HZ), JOINS_S)
    mean_at = (one.at_sum + other.at_sum) / (3 + len(JOINS_S))
    elsewhere = (one.elsewhere_sum + other.elsewhere_sum) / (one.elsewhere_count + other.elsewhere_count)
    assert pooled_ratio([one, other]) == pytest.approx(mean_at / elsewhere)
