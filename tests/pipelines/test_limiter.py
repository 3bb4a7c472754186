from __future__ import annotations

import math

import pytest
import torch

from ondes.pipelines.limiter import OVERSAMPLING, Limiter, interpolation_filters, true_peaks

CEILING = 10 ** (-1 / 20)


def between_samples(amplitude: float, samples: int = 4000) -> torch.Tensor:
    """A sine at a quarter of the rate whose samples all lie 3 dB below its peaks: (1, samples)."""
    phase = math.pi / 2 * torch.arange(samples, dtype=torch.float64) + math.pi / 4
    return amplitude * torch.sin(phase)[None].float()


def music(seed: int = 0, *, samples: int = 30_000) -> torch.Tensor:
    """Soft noise with loud bursts: (2, samples)."""
    generator = torch.Generator().manual_seed(seed)
    audio = 0.1 * torch.randn(2, samples, generator=generator)
    for start in (3000, 3900, 15_000):
        audio[:, start : start + 60] *= 25
    return audio


def limited(audio: torch.Tensor, sizes: list[int] | None = None) -> torch.Tensor:
    limiter = Limiter()
    pieces = audio.split(sizes or [audio.shape[1]], -1)
    gains = [limiter.push(piece) for piece in pieces]
    gains.append(limiter.push(audio[:, :0], last=True))
    return audio * torch.cat(gains)


def test_a_peak_between_samples_is_seen() -> None:
    audio = between_samples(1.0)
    assert float(audio.abs().max()) == pytest.approx(math.sqrt(0.5), abs=1e-4)
    assert float(true_peaks(audio)[100:-100].max()) == pytest.approx(1.0, abs=0.011)


def test_the_filters_interpolate_what_is_band_limited() -> None:
    time = torch.arange(200, dtype=torch.float64)
    filters = interpolation_filters().double()
    for phase in range(OVERSAMPLING):
        wave = torch.sin(0.3 * time + 0.2)
        between = torch.nn.functional.conv1d(wave[None, None], filters[phase : phase + 1])[0, 0]
        exact = torch.sin(0.3 * (time[5 : 5 + len(between)] + phase / OVERSAMPLING) + 0.2)
        assert (between - exact).abs().max() < 5e-3


@pytest.mark.parametrize("audio", [between_samples(1.2), music(), 3 * torch.ones(2, 5000)])
def test_no_true_peak_exceeds_the_ceiling(audio: torch.Tensor) -> None:
    assert float(true_peaks(audio).max()) > CEILING
    assert float(true_peaks(limited(audio)).max()) <= CEILING


def test_what_is_below_the_ceiling_is_untouched_bit_for_bit() -> None:
    soft = 0.2 * torch.randn(2, 10_000, generator=torch.Generator().manual_seed(0)).clamp(-3, 3)
    assert torch.equal(limited(soft), soft)
    audio = music()
    far = slice(6000, 13_000)
    assert torch.equal(limited(audio)[:, far], audio[:, far])
    assert not torch.equal(limited(audio), audio)


@pytest.mark.parametrize("sizes", [[1000] * 30, [1, 29_999], [2999, 2, 1, 26_998], [17, 14_990, 14_993]])
def test_blocks_give_what_the_whole_gives(sizes: list[int]) -> None:
    audio = music()
    assert torch.allclose(limited(audio, sizes), limited(audio), atol=1e-6)


def test_gains_move_slowly_and_never_up_beyond_one() -> None:
    gains = Limiter().push(music(), last=True)
    assert float(gains.max()) == 1.0
    assert float(gains.diff().abs().max()) < 4 / 880
    assert float(gains.min()) < 0.7


def test_both_channels_are_turned_down_together() -> None:
    loud = torch.stack([1.5 * torch.ones(4000), 0.1 * torch.ones(4000)])
    left, right = limited(loud)
    assert torch.allclose(left, 15 * right, rtol=1e-5)


def test_nothing_gives_nothing() -> None:
    assert Limiter().push(torch.zeros(2, 0), last=True).shape == (0,)
