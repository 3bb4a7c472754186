from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest

from ondes.pipelines.loudness import LoudnessMeter

RNG = np.random.default_rng(0)


def measured(samples: np.ndarray, rate_hz: int, sizes: list[int]) -> float:
    meter = LoudnessMeter(rate_hz)
    cuts = np.cumsum(np.resize(sizes, samples.shape[1] // min(sizes) + 1))
    for block in np.split(samples, cuts[cuts < samples.shape[1]], axis=1):
        meter.push(block)
    return meter.lufs()


def test_a_sine_of_full_scale_at_1_khz_is_that_of_the_standard() -> None:
    # BS.1770-4: 0 dBFS, 997 Hz, one channel of a stereo pair: -3.01 LUFS.
    sine = np.sin(2 * np.pi * 997 * np.arange(96_000) / 48_000)
    assert LoudnessMeter(48_000).lufs() == -math.inf
    assert measured(np.stack([sine, 0 * sine]), 48_000, [96_000]) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (8000, 1), (48_000, 2)])
def test_it_agrees_with_pyloudnorm(rate_hz: int, channels: int) -> None:
    noise = RNG.standard_normal((channels, 5 * rate_hz)) * np.repeat([0.2, 0.001, 0.05, 0.0, 0.1], rate_hz)
    theirs = pyloudnorm.Meter(rate_hz).integrated_loudness(noise.T)
    assert measured(noise, rate_hz, [30_000]) == pytest.approx(theirs, abs=0.02)


def test_blocks_change_nothing() -> None:
    noise = RNG.standard_normal((2, 100_000))
    whole = measured(noise, 44_100, [100_000])
    assert measured(noise, 44_100, [777, 12_001]) == pytest.approx(whole, abs=1e-9)


def test_silence_and_moments_have_no_loudness() -> None:
    assert measured(np.zeros((2, 88_200)), 44_100, [88_200]) == -math.inf
    assert measured(np.ones((2, 1000)), 44_100, [1000]) == -math.inf
