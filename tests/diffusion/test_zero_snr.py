from __future__ import annotations

import pytest
import torch

from ondes.diffusion.zero_snr import mean_squared, noisy_and_velocity, to_level, zero_snr_scheduler


def test_the_last_timestep_is_pure_noise_and_asks_for_minus_the_data() -> None:
    scheduler = zero_snr_scheduler(50)
    data, noise = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    noisy, velocity = noisy_and_velocity(data, noise, torch.full((3,), 49), scheduler)
    assert torch.allclose(noisy, noise, atol=1e-6)
    assert torch.allclose(velocity, -data, atol=1e-6)
    assert to_level(torch.tensor([49, 24]), scheduler).tolist() == [1.0, 0.5]


def test_examples_and_velocities_are_those_of_diffusers() -> None:
    scheduler = zero_snr_scheduler(50)
    data, noise, timestep = torch.randn(5, 4, 2), torch.randn(5, 4, 2), torch.tensor([0, 7, 25, 40, 48])
    noisy, velocity = noisy_and_velocity(data, noise, timestep, scheduler)
    assert torch.allclose(noisy, scheduler.add_noise(data, noise, timestep), atol=1e-6)  # pyright: ignore[reportArgumentType]
    assert torch.allclose(velocity, scheduler.get_velocity(data, noise, timestep), atol=1e-6)  # pyright: ignore[reportArgumentType]


def test_sampling_with_the_true_velocity_gives_the_data_back() -> None:
    scheduler = zero_snr_scheduler(1000)
    scheduler.set_timesteps(8)
    assert int(scheduler.timesteps[0]) == 999
    data, noisy = torch.randn(2, 6, 3), torch.randn(2, 6, 3)
    for timestep in scheduler.timesteps:
        kept = scheduler.alphas_cumprod[timestep].double()
        alpha, sigma = kept.sqrt(), (1 - kept).sqrt()
        noise = (noisy - alpha * data) / sigma
        noisy = scheduler.step(
            (alpha * noise - sigma * data).float(), int(timestep), noisy.float()
        ).prev_sample  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.allclose(noisy, data, atol=1e-4)


def test_only_notes_that_count_are_counted() -> None:
    answer, truth = torch.zeros(2, 3, 2), torch.ones(2, 3, 2) * torch.tensor([1.0, 2.0, 3.0])[:, None]
    counted = torch.tensor([[True, True, False], [False, True, False]])
    assert float(mean_squared(answer, truth, counted)) == pytest.approx((1 + 4 + 4) / 3)
    assert float(mean_squared(answer, truth, torch.zeros(2, 3, dtype=torch.bool))) == 0
