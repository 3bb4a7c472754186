"""What repeats around a hole, and inpainting that begins with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ondes.audio import Audio
from ondes.errors import UserError
from ondes.models.mel_unet import MelUNet
from ondes.models.vocoder import Vocoder
from ondes.pipelines import splicing
from ondes.pipelines.audio import AudioPipeline
from ondes.pipelines.audio_editing import Sizes, repeats_between
from ondes.pipelines.audio_repeats import COMPARED, LEAST_LAG, repeated
from ondes.pipelines.samplers import make_scheduler

RATE_HZ = 44_100


def bars(frames: int, period: int, seed: int = 0) -> torch.Tensor:
    """Log-mel that repeats itself."""
    one = torch.randn(2, 128, period, generator=torch.Generator().manual_seed(seed)) - 4
    return one.repeat(1, 1, frames // period + 1)[..., :frames]


@pytest.mark.parametrize("period", [LEAST_LAG, 57, 110])
def test_music_that_repeats_itself_goes_on_through_the_hole(period: int) -> None:
    whole = bars(700, period)
    made = repeated(whole[..., :300], whole[..., 430:], 130)
    assert made is not None
    # Bands begin and end at the levels that they have at the borders, and soon go their own way.
    assert torch.allclose(made[..., 60:70], whole[..., 360:370], atol=5e-3)
    assert torch.allclose(made[..., :2].mean(-1), whole[..., 298:300].mean(-1), atol=0.3)
    assert torch.allclose(made[..., -2:].mean(-1), whole[..., 430:432].mean(-1), atol=0.3)


def test_a_lag_suits_both_sides_and_the_hole_fades_from_the_one_to_the_other() -> None:
    left, right = bars(300, 60), bars(300, 60, seed=1)
    made = repeated(left, right, 120)
    assert made is not None
    share = (torch.arange(120) + 0.5) / 120
    goes_on = bars(420, 60)[..., 300:]
    came_about = bars(360, 60, seed=1)[..., :120]
    expected = goes_on + share * (came_about - goes_on)
    assert torch.allclose(made[..., 55:65], expected[..., 55:65], atol=5e-3)


def test_a_side_that_is_too_short_takes_no_part() -> None:
    whole, short = bars(500, 60), torch.randn(2, 128, LEAST_LAG + COMPARED - 1)
    after = repeated(short, whole, 180)
    assert after is not None
    assert torch.allclose(after[..., 80:100], whole[..., 80:100], atol=1e-3)
    before = repeated(whole, short[..., :0], 180)
    assert before is not None
    assert torch.allclose(before[..., 80:], bars(680, 60)[..., 580:], atol=1e-3)
    assert repeated(short, short, 60) is None


class Whatever(MelUNet):
    """Takes everything for data: what it is given stays."""

    def forward(self, noisy: Any, level: Any, conditions: Any, known: Any = None) -> Any:  # noqa: ARG002
        """No velocity at all."""
        return torch.zeros_like(noisy)


@pytest.fixture(scope="module")
def pipeline() -> AudioPipeline:
    """Windows of 6 s, of which 1.5 s on either side are known."""
    torch.manual_seed(0)
    network = Whatever((), (8, 8), (8, 8), (1, 1), (8,), heads=2)
    network.mean[0] = -6.0
    network.deviation[:] = 2.0
    return AudioPipeline(
        network, Vocoder(width=8, hidden=8, blocks=1), make_scheduler("euler"), 512, 128, default_steps=1
    )


def beats(duration_s: float) -> Audio:
    """A tone that swells every half second."""
    time = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    swell = 0.02 + 0.3 * np.exp(-8 * (time % 0.5))
    rows = np.stack([swell * np.sin(2 * np.pi * 440 * time)] * 2)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(rows.shape)
    return Audio((rows + noise).astype(np.float32), RATE_HZ)


@pytest.mark.slow
def test_seeds_differ_but_for_strength_0(pipeline: AudioPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splicing, "PREDICTION_ORDER", 32)
    take, region = beats(4.0), "1.75-2.5"
    made = [pipeline.inpaint(take, region, seed=seed).samples[:, 77_175:110_250] for seed in range(16)]
    assert len({one.tobytes() for one in made}) == 16
    same = [pipeline.inpaint(take, region, seed=seed, strength=0).samples for seed in (0, 1)]
    assert np.array_equal(same[0], same[1])
    # The repeats alone are closer to the hidden beats than the noise that the level brings, and that than pure noise.
    # Near its borders a region has the level of what is kept.
    take, inside = beats(5.0), slice(2 * RATE_HZ, 3 * RATE_HZ)
    powers = {
        strength: [
            np.square(part).mean()
            for part in np.array_split(
                pipeline.inpaint(take, "1.75-3.25", strength=strength).samples[:, inside], 20, axis=1
            )
        ]
        for strength in (0.0, 0.5, 1.0)
    }
    true = [np.square(part).mean() for part in np.array_split(take.samples[:, inside], 20, axis=1)]
    likeness = {name: np.corrcoef(np.log(own), np.log(true))[0, 1] for name, own in powers.items()}
    # The vocoder is untrained.
    assert likeness[0.0] > 0.3
    assert likeness[0.0] > likeness[1.0]


@pytest.mark.slow
def test_every_window_begins_with_what_the_one_before_repeats(
    pipeline: AudioPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splicing, "PREDICTION_ORDER", 32)
    take = beats(2.0)
    long = [
        pipeline.outpaint(take, before_s=5.0, after_s=5.0, seed=seed, strength=0).samples for seed in (0, 1)
    ]
    assert np.array_equal(long[0], long[1])
    hole = [
        pipeline.inpaint(beats(8.0), "1.7-6.3", seed=seed, strength=strength).samples
        for seed, strength in ((0, 0.0), (1, 0.0), (0, 1.0), (1, 1.0))
    ]
    assert np.array_equal(hole[0], hole[1])
    assert not np.allclose(hole[2], hole[3], atol=1e-4)


@pytest.mark.parametrize("period", [50, 60])
def test_repeats_of_a_window_are_those_of_the_frames_it_knows(period: int) -> None:
    whole = bars(600, period)
    given = torch.ones(600, dtype=torch.bool)
    given[250:400] = given[560:] = False
    fresh = ~given
    fresh[560:] = False
    made = repeats_between(torch.where(given, whole, 0.0), given, fresh)
    assert made is not None
    assert made.shape[-1] == 150
    assert torch.allclose(made[..., 70:80], whole[..., 320:330], atol=5e-3)
    assert repeats_between(whole, given, torch.zeros_like(given)) is None


@pytest.mark.parametrize(("first", "end"), [(1000, 3000), (1000, 1100), (20, 5000), (0, 700)])
def test_windows_of_a_continuation_make_every_frame_once(first: int, end: int) -> None:
    plan = Sizes(2048, 512, 16, 0.5).continuation(first, end)
    made = first
    for window in plan:
        assert window.start + window.known == made
        assert window.frames % 16 == 0
        assert window.frames <= 2048
        made = window.stop
    assert made >= end
    assert plan[-1].start + plan[-1].known < end
    assert (plan[0].stop - first <= 192) == (first > 0)


def test_a_strength_out_of_range_is_refused(pipeline: AudioPipeline) -> None:
    with pytest.raises(UserError, match=r"a strength of 1\.2"):
        pipeline.inpaint(beats(1.0), "0.2-0.4", strength=1.2)
