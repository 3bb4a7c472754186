from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ondes.pipelines.border_levels import (
    HEARD_FRAMES,
    NEAR_FRAMES,
    frame_samples,
    heard_samples,
    level_region,
    levelled,
    reach_samples,
)

FRAME = 1024


def noise(count: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((2, count)).astype(np.float32)


def level(samples: np.ndarray) -> float:
    """In nepers."""
    return 0.5 * math.log(float(np.square(samples, dtype=np.float64).mean()))


def test_frames_last_as_long_at_any_rate() -> None:
    rates = (8000, 16_000, 22_050, 44_100, 48_000, 96_000)
    assert [frame_samples(rate) for rate in rates] == [256, 512, 512, 1024, 1024, 2048]


@pytest.mark.parametrize("onward", [True, False])
@pytest.mark.parametrize("step", [-0.5, 0.5])
def test_what_is_made_meets_the_level_of_what_is_kept(step: float, onward: bool) -> None:
    kept, made = noise(8000), math.exp(step) * noise(20_000, 1)
    out = levelled(kept, made.astype(np.float32), onward=onward, frame=FRAME)
    near, reach = FRAME // 4 * NEAR_FRAMES, reach_samples(FRAME)
    assert np.array_equal(out[:, reach:], made[:, reach:].astype(np.float32))
    begun, after = level(out[:, :512]) - level(kept), level(out[:, near : 2 * near]) - level(kept)
    # Louder with the time only slowly, softer soon.
    slow = (step > 0) == onward
    assert abs(begun) < (0.12 if slow else 0.35)
    assert abs(after - (0.15 if slow else 1.0) * step) < 0.2
    assert abs(level(made[:, :FRAME]) - level(kept)) > 0.45


def test_a_dip_at_the_border_is_filled() -> None:
    kept, made = noise(8000), noise(20_000, 1)
    made[:, :600] *= 0.5
    out = levelled(kept, made, onward=True, frame=FRAME)
    assert level(made[:, 64:600]) - level(kept) < -0.6
    assert level(out[:, 64:600]) - level(kept) > -0.3


def test_a_band_is_changed_alone() -> None:
    kept, time = noise(8000), np.arange(20_000)
    tone = 0.2 * np.sin(2 * np.pi * 100 / FRAME * time)[None].repeat(2, 0)
    made = (noise(20_000, 1) + tone).astype(np.float32)
    out = levelled(kept, made, onward=True, frame=FRAME)
    window = np.hanning(2 * FRAME)
    change = np.abs(np.fft.rfft(out[0, : 2 * FRAME] * window)) / np.abs(
        np.fft.rfft(made[0, : 2 * FRAME] * window)
    )
    # Bins are half as wide here: the tone's band holds bins 128 to 256.
    assert abs(np.log(change[600:]).mean()) < 0.1


def test_too_little_sound_has_no_level() -> None:
    made = noise(9000)
    assert np.array_equal(levelled(made[:, : heard_samples(FRAME) - 1], made, onward=True, frame=FRAME), made)
    assert np.array_equal(
        levelled(made, made[:, : FRAME - 1], onward=True, frame=FRAME), made[:, : FRAME - 1]
    )
    assert HEARD_FRAMES * FRAME > heard_samples(FRAME) > FRAME


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 30_000), st.lists(st.integers(200, 9000), min_size=1, max_size=4), st.booleans())
def test_a_region_is_the_same_in_any_blocks(length: int, sizes: list[int], alone: bool) -> None:
    new, before, after = noise(length), noise(3000, 1), 2 * noise(0 if alone else 3000, 2)

    def made(blocks: list[np.ndarray]) -> np.ndarray:
        parts = level_region(blocks, length, before=before, after=after, frame=FRAME)
        return np.concatenate(list(parts), axis=1)

    whole = made([new])
    cuts = np.cumsum(np.resize(sizes, length))
    assert whole.shape == new.shape
    assert np.array_equal(made(np.split(new, cuts[cuts < length], axis=1)), whole)
    middle = slice(reach_samples(FRAME), -reach_samples(FRAME))
    assert np.array_equal(whole[:, middle], new[:, middle])
    assert length < FRAME * 2 or not np.array_equal(whole, new)
