"""Diffusion within a mixture: nothing outside it at any step, the data inside it at the end."""

import pytest
import torch
from torch import Tensor

from ondes.diffusion.mixture_mask import within, within_steps
from ondes.diffusion.overlap import overlapped, window_starts
from ondes.pipelines.roll_samplers import make_roll_scheduler

SHAPE = (2, 3, 16, 8)


def case() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(2, 1, 16, 8, generator=generator) < 0.3).float()
    data = (torch.rand(SHAPE, generator=generator) < 0.5).float() * mask
    return mask, data, torch.randn(SHAPE, generator=generator)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_every_state_is_silent_where_the_mixture_is_whatever_the_network_says(
    sampler: str, schedule: str
) -> None:
    mask, _, noise = case()
    generators = [torch.Generator().manual_seed(number) for number in range(2)]
    walk = within_steps(
        lambda noisy, _: torch.ones_like(noisy),
        noise,
        mask,
        scheduler=make_roll_scheduler(sampler, schedule),
        steps=7,
        generators=generators,
    )
    states = list(walk)
    assert len(states) == 7
    silent = (mask == 0).expand(SHAPE)
    for state in states:
        assert state[silent].abs().max() == 0
        assert state[~silent].abs().min() > 0


@pytest.mark.parametrize(("sampler", "steps", "far"), [("ddim", 20, 1e-4), ("ddpm", 100, 0.02)])
def test_who_knows_the_noise_gets_the_data(sampler: str, steps: int, far: float) -> None:
    mask, data, noise = case()
    scheduler = make_roll_scheduler(sampler, "linear")
    kept = scheduler.alphas_cumprod

    def oracle(noisy: Tensor, level: Tensor) -> Tensor:
        share = kept[(level * 1000).round().long()][:, None, None, None]
        return (noisy - share.sqrt() * data) / (1 - share).sqrt() + (1 - mask)

    walk = within_steps(
        oracle, noise, mask, scheduler=scheduler, steps=steps, generators=[torch.Generator()] * 2
    )
    *_, last = walk
    # DDIM stops at the cleanest level of the schedule, as published.
    clean = kept[0].sqrt() * data + (1 - kept[0]).sqrt() * mask * noise if sampler == "ddim" else data
    torch.testing.assert_close(last, clean, atol=far, rtol=0)


def test_the_mask_is_put_before_and_behind_a_denoiser() -> None:
    mask, _, noise = case()
    guided = within(lambda noisy, level: noisy + level[:, None, None, None], mask)
    level = torch.tensor([0.25, 0.5])
    expected = torch.where(mask.bool(), noise + level[:, None, None, None], torch.zeros(()))
    torch.testing.assert_close(guided(noise, level), expected)


def test_windows_cover_every_place() -> None:
    assert window_starts(64, 64, 32) == [0]
    assert window_starts(128, 64, 32) == [0, 32, 64]
    assert window_starts(144, 64, 32) == [0, 32, 64, 80]
    with pytest.raises(ValueError, match="do not cover"):
        window_starts(63, 64, 32)


def test_a_denoiser_that_looks_at_one_place_is_the_same_in_windows() -> None:
    noisy, level = torch.randn(2, 3, 80, 4), torch.tensor([0.1, 0.9])

    def local(noisy: Tensor, level: Tensor) -> Tensor:
        return noisy.sin() * level[:, None, None, None]

    for together in (1, 8):
        made = overlapped(local, window=32, hop=16, together=together)(noisy, level)
        torch.testing.assert_close(made, local(noisy, level))


def test_where_windows_overlap_their_answers_are_averaged() -> None:
    noisy = torch.zeros(1, 1, 6, 1)

    def ramp(noisy: Tensor, _: Tensor) -> Tensor:
        return torch.arange(4.0)[None, None, :, None].expand(noisy.shape)

    made = overlapped(ramp, window=4, hop=2)(noisy, torch.zeros(1))[0, 0, :, 0]
    assert made.tolist() == [0, 1, (2 + 0) / 2, (3 + 1) / 2, 2, 3]
