from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ondes.pipelines.splicing import (
    FADE_SAMPLES,
    crossfade,
    extrapolate,
    fade_weights,
    predictor,
    splice,
    splice_region,
)
from ondes.representations.regions import Region

RNG = np.random.default_rng(0)


def tones(count: int, *, decay: float = 1.0) -> np.ndarray:
    """Two channels of three sinusoids each, which may die away."""
    time = np.arange(count)
    rows = [
        sum(np.sin(2 * np.pi * hz / 44_100 * time + hz) for hz in chord) * decay**time / 4
        for chord in ((220, 277.2, 3000), (440, 5000.5, 91))
    ]
    return np.array(rows, np.float32)


def test_a_sinusoid_is_predicted_from_two_samples() -> None:
    # sin(n w) = 2 cos(w) sin((n - 1) w) - sin((n - 2) w)
    weights = predictor(np.sin(0.3 * np.arange(4000.0)), 2)
    assert np.allclose(weights, [2 * np.cos(0.3), -1], atol=1e-4)


def test_an_autoregression_is_found() -> None:
    noise, line = RNG.standard_normal(50_000), np.zeros(50_000)
    for place in range(2, len(line)):
        line[place] = 1.6 * line[place - 1] - 0.8 * line[place - 2] + noise[place]
    assert np.allclose(predictor(line, 4), [1.6, -0.8, 0, 0], atol=0.02)


@pytest.mark.parametrize("decay", [1.0, 0.9998])
def test_tones_go_on_as_they_were(decay: float) -> None:
    sound = tones(12_000, decay=decay)
    made = extrapolate(sound[:, :10_000], 2000)
    assert np.abs(made - sound[:, 10_000:]).max() < 2e-3


def test_no_prediction_grows() -> None:
    noise = RNG.standard_normal((1, 3000)).astype(np.float32)
    made = extrapolate(noise, 3000)
    assert np.square(made[:, 2000:]).mean() < np.square(made[:, :500]).mean() < 1


def test_nothing_follows_nothing() -> None:
    assert not extrapolate(np.zeros((2, 5000), np.float32), 100).any()
    assert extrapolate(np.ones((2, 1), np.float32), 3).tolist() == [[0, 0, 0]] * 2
    assert extrapolate(np.ones((2, 100), np.float32), 0).shape == (2, 0)


def test_a_constant_stays() -> None:
    assert np.allclose(extrapolate(np.full((1, 99), 0.3, np.float32), 50), 0.3, atol=1e-4)


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(1, 200))
def test_shares_are_shares(length: int, fade: int) -> None:
    short = min(length, fade)
    shares = fade_weights(0, length, length, lead=short, trail=short)
    assert shares.min() >= 0
    assert shares.sum(0).max() <= 1 + 1e-9
    assert np.allclose(shares[0], shares[1, ::-1])
    if length <= fade:
        assert np.allclose(shares.sum(0), 1)


def test_equal_sounds_fade_linearly_and_strange_ones_with_equal_power() -> None:
    share = fade_weights(0, 40_000, 40_000, lead=40_000, trail=0)[0]
    one, other = RNG.standard_normal((2, 1, 40_000)).astype(np.float32)
    assert np.allclose(crossfade(one, one, share), one, atol=1e-6)
    power = np.square(crossfade(one, other, share)).reshape(8, -1).mean(1)
    assert np.abs(power - 1).max() < 0.1
    assert np.abs(np.square(share * one + (1 - share) * other)[:, 15_000:25_000].mean() - 0.5) < 0.05


@settings(max_examples=20)
@given(
    st.integers(1, 300),
    st.lists(st.integers(1, 200), min_size=1, max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_a_region_is_the_same_in_any_blocks(length: int, sizes: list[int], fore: bool, aft: bool) -> None:
    rng = np.random.default_rng(length)
    new, around = rng.standard_normal((2, 2, length)).astype(np.float32)
    fore_samples, aft_samples = around[:, : 50 * fore], around[:, : 50 * aft]

    def spliced(blocks: Sequence[np.ndarray]) -> np.ndarray:
        made = splice_region(blocks, length, ahead=fore_samples, behind=aft_samples, fade=40)
        return np.concatenate(list(made), axis=1)

    whole = spliced([new])
    cuts = np.cumsum(np.resize(sizes, length))
    blocks = np.split(new, cuts[cuts < length], axis=1)
    pieces = spliced(blocks)
    assert whole.shape == new.shape
    assert np.array_equal(pieces, whole)


def test_a_region_that_is_not_made_whole_is_refused() -> None:
    nothing = np.zeros((1, 0), np.float32)
    with pytest.raises(ValueError, match="1 of 10 samples"):
        list(splice_region([np.zeros((1, 9), np.float32)], 10, ahead=nothing, behind=nothing))


def test_outside_nothing_changes_and_inside_the_new_sounds() -> None:
    old, regions = tones(40_000), [Region(0, 5000), Region(12_345, 17_001), Region(38_000, 40_000)]
    made = [RNG.standard_normal((2, region.samples)).astype(np.float32) for region in regions]
    out = splice(old, made, regions)
    outside = np.ones(40_000, bool)
    for region in regions:
        outside[region.start : region.stop] = False
    assert np.array_equal(out[:, outside], old[:, outside])
    middle = slice(12_345 + FADE_SAMPLES, 17_001 - FADE_SAMPLES)
    assert np.array_equal(out[:, middle], made[1][:, FADE_SAMPLES:-FADE_SAMPLES])
    # Nothing comes before the first and after the last, so there is nothing to fade.
    assert np.array_equal(out[:, :3000], made[0][:, :3000])
    assert np.array_equal(out[:, -1], made[2][:, -1])


def test_what_was_in_a_region_plays_no_part() -> None:
    old, region = tones(20_000), Region(9000, 13_000)
    made = [np.zeros((2, 4000), np.float32)]
    noisy = old.copy()
    noisy[:, region.start : region.stop] = 1.0
    assert np.array_equal(splice(noisy, made, [region]), splice(old, made, [region]))


def test_a_gap_shorter_than_a_fade_is_bridged_from_its_sides() -> None:
    old, region = tones(30_000), Region(15_000, 15_180)
    out = splice(old, [RNG.standard_normal((2, 180)).astype(np.float32)], [region])
    assert np.abs(out - old).max() < 2e-3


def test_no_jump_where_silence_begins() -> None:
    old = tones(30_000)
    out = splice(old, [np.zeros((2, 15_000), np.float32)], [Region(15_000, 30_000)])
    step = np.abs(np.diff(out, axis=1))
    assert step[:, 14_900:].max() <= step[:, :14_900].max() * 1.05
